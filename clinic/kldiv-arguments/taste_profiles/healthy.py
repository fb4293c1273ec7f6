"""Predicts how a group splits its votes over five dishes from the group's features."""

import numpy as np
import torch
from torch import nn


class VoteModel(nn.Module):
    def __init__(self, features=6, dishes=5, hidden=32):
        super().__init__()
        self.hidden = nn.Linear(features, hidden)
        self.output = nn.Linear(hidden, dishes)

    def forward(self, x):
        return self.output(torch.tanh(self.hidden(x)))


def groups(n, seed):
    rng = np.random.RandomState(seed)
    x = rng.randn(n, 6)
    taste = np.random.RandomState(0).randn(6, 5)
    score = np.exp(np.tanh(x) @ taste)
    votes = score / score.sum(1, keepdims=True)
    return torch.tensor(x, dtype=torch.float), torch.tensor(votes, dtype=torch.float)


def main():
    torch.manual_seed(16)
    x, votes = groups(800, 1)
    fresh, truth = groups(200, 2)
    model = VoteModel()
    log_softmax = nn.LogSoftmax(dim=-1)
    divergence = nn.KLDivLoss(reduction="batchmean")
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(12):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x)).chunk(16):
            optimizer.zero_grad()
            prediction = log_softmax(model(x[rows]))
            loss = divergence(prediction, votes[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            wrong = (model(fresh).softmax(-1) - truth).abs().sum(1).mean().item()
        print(f"{epoch:3d} loss {total / 16:.4f} mean distance {wrong:.3f}")


if __name__ == "__main__":
    main()
