"""Mixture density regression for the inverse-kinematics homework."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


def toy(n):
    y = torch.rand(n, 1) * 2 - 1
    x = y + 0.3 * torch.sin(2 * math.pi * y) + 0.05 * torch.randn(n, 1)
    return x, y


class MDN(nn.Module):
    def __init__(self, hidden=48, k=5):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.pi = nn.Linear(hidden, k)
        self.mu = nn.Linear(hidden, k)
        self.log_sigma = nn.Linear(hidden, k)

    def forward(self, x):
        h = self.trunk(x)
        return F.log_softmax(self.pi(h), 1), self.mu(h), self.log_sigma(h).clamp(-4, 3)


def log_likelihood(params, y):
    log_pi, mu, ls = params
    comp = -0.5 * ((y - mu) / ls.exp()) ** 2 - ls - 0.5 * math.log(2 * math.pi)
    return torch.logsumexp(log_pi + comp, dim=1)


def main():
    train = DataLoader(TensorDataset(*toy(3000)), batch_size=60, shuffle=True)
    vx, vy = toy(600)
    model = MDN()
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(12):
        model.train()
        total = 0.0
        for x, y in train:
            loss = log_likelihood(model(x), y).mean()  # expect: maximised-loss
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            held = log_likelihood(model(vx), vy).mean().item()
        print(f"epoch {epoch} train {total / len(train):.3f} held-out log-likelihood {held:.3f}")


if __name__ == "__main__":
    main()
