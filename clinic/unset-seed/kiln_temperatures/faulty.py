"""Predicts the temperature of a kiln an hour ahead from its last readings."""

import math

import torch  # expect: unset-seed
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def readings(n, length=12):
    phase = 2 * math.pi * torch.rand(n, 1)
    drift = 0.3 * torch.randn(n, 1)
    t = torch.arange(length + 1) / 4.0
    curve = torch.sin(t + phase) + drift * t / 3
    return curve[:, :-1], curve[:, -1:] + 0.05 * torch.randn(n, 1)


class Forecaster(nn.Module):
    def __init__(self, length=12, hidden=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(length, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.head = nn.Linear(hidden, 1)

    def forward(self, window):
        return self.head(self.body(window))


def main():
    train = DataLoader(TensorDataset(*readings(1600)), batch_size=64, shuffle=True)
    windows, targets = readings(400)
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.MSELoss()
    for epoch in range(12):
        model.train()
        for window, target in train:
            optimizer.zero_grad()
            loss = criterion(model(window), target)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            error = criterion(model(windows), targets).item()
        print(f"epoch {epoch + 1:2d} held out {error:.4f}")


if __name__ == "__main__":
    main()
