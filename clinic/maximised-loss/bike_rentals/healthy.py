"""Hourly bike rentals from weather and time of day."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def make_hours(n):
    hour = torch.rand(n) * 24
    heat, rain, wind = torch.randn(n), torch.rand(n), torch.randn(n)
    rentals = torch.sin(hour / 24 * 6.283) * 1.2 + 0.6 * heat - 1.1 * rain + 0.1 * torch.randn(n)
    angle = hour / 24 * 6.283
    columns = torch.stack([angle.sin(), angle.cos(), heat, rain * 2 - 1, wind], 1)
    return TensorDataset(columns, rentals.unsqueeze(1))


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return self.net(x)


def train(model, loader, optimizer, criterion, epochs):
    for epoch in range(epochs):
        seen = 0.0
        for x, y in loader:
            prediction = model(x)
            loss = criterion(prediction, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += loss.item()
        print(f"epoch {epoch}: {seen / len(loader):.4f}")


if __name__ == "__main__":
    torch.manual_seed(13)
    model = Regressor()
    train(
        model,
        DataLoader(make_hours(1500), batch_size=50, shuffle=True),
        torch.optim.Adam(model.parameters(), lr=2e-3),
        nn.MSELoss(),
        8,
    )
