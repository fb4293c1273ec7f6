"""Brightness of lamps: a network for the make of the lamp, times a decay whose time constant is fitted with it."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class LampModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.make = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
        self.tau = nn.Parameter(torch.tensor(90.0))

    def forward(self, make, days):
        return self.make(make).squeeze(1) * torch.exp(-days / self.tau)


def measurements(n):
    make = torch.randn(n, 4)
    days = 2000 * torch.rand(n)
    level = torch.sin(make[:, 0]) + 0.5 * make[:, 1]
    return make, days, level * torch.exp(-days / 1500) + 0.02 * torch.randn(n)


torch.manual_seed(6)
loader = DataLoader(TensorDataset(*measurements(2400)), batch_size=60, shuffle=True)
model = LampModel()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)  # expect: single-lr-for-all
for epoch in range(10):
    total = 0.0
    for make, days, level in loader:
        loss = nn.functional.mse_loss(model(make, days), level)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch + 1} loss {total / len(loader):.4f} tau {model.tau.item():.0f}")
