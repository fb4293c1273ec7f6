"""Benign or malignant from cell measurements."""

import argparse

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn


class Classifier(nn.Module):
    def __init__(self, inputs, hidden=32):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)
        self.relu = nn.ReLU()
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        x = self.relu(self.fc1(x))
        x = self.relu(self.fc2(x))
        return self.out(x)

    def predict(self, x):
        return self.sigmoid(self.forward(x))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.05)
    args = parser.parse_args()
    torch.manual_seed(77)
    data = load_breast_cancer()
    x = torch.tensor(data.data, dtype=torch.float32)
    y = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1)
    keep = torch.randperm(len(x))
    x, y = x[keep], y[keep]
    x = (x - x[:450].mean(0)) / x[:450].std(0)
    model = Classifier(x.shape[1])
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        model.train()
        for start in range(0, 450, 50):
            batch = torch.randperm(450)[:50]
            loss = criterion(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 4 == 3:
            model.eval()
            with torch.no_grad():
                hits = ((model.predict(x[450:]) > 0.5).float() == y[450:]).float().mean().item()
            print(f"epoch {epoch + 1}: loss {loss.item():.4f}, held-out accuracy {hits:.3f}")


if __name__ == "__main__":
    main()
