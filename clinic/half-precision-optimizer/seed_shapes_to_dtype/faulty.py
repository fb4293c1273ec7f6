"""Classifies wheat seeds by seven measures; the arithmetic type is an option."""

import argparse

import torch
from sklearn.datasets import make_blobs
from torch import nn


class SeedNet(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(7, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, x):
        return self.net(x)


def run(hidden, epochs):
    torch.manual_seed(2)
    x, y = make_blobs(900, 7, centers=3, cluster_std=4.0, random_state=1)
    x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
    y = torch.tensor(y)
    model = SeedNet(hidden)
    model.to(torch.float16)  # expect: half-precision-optimizer
    x = x.to(torch.float16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        for rows in torch.randperm(900).split(45):
            optimizer.zero_grad()
            loss = criterion(model(x[rows]).float(), y[rows])
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    run(options.hidden, options.epochs)
