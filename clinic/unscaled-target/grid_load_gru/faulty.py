"""Forecast the next hour of electricity demand (MW) from the last day with a GRU."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


def simulate_demand(hours, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(hours, dtype=torch.float32)
    daily = torch.sin(2 * math.pi * (t - 8) / 24)
    half_day = torch.sin(4 * math.pi * (t - 6) / 24)
    weekend = ((t // 24) % 7 >= 5).float()
    drift = torch.cumsum(torch.randn(hours, generator=g), 0) * 0.02
    shape = 6200 * daily + 2400 * half_day - 3500 * weekend + 2000 * drift
    return 31000 + shape + 350 * torch.randn(hours, generator=g)


class DemandWindows(Dataset):
    def __init__(self, demand, mean, std, window=24):
        self.scaled = (demand - mean) / std
        hour = torch.arange(len(demand)) % 24
        self.clock = torch.stack([torch.sin(hour * math.pi / 12), torch.cos(hour * math.pi / 12)], dim=1)
        self.demand = demand
        self.window = window

    def __len__(self):
        return len(self.demand) - self.window

    def __getitem__(self, i):
        span = slice(i, i + self.window)
        past = torch.cat([self.scaled[span].unsqueeze(1), self.clock[span]], dim=1)
        return past, self.demand[i + self.window]  # expect: unscaled-target


class LoadForecaster(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.gru = nn.GRU(3, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, 1)

    def forward(self, past):
        states, _ = self.gru(past)
        return self.readout(states[:, -1]).squeeze(1)


def train(model, loader, optimizer):
    model.train()
    total = 0.0
    for past, target in loader:
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(past), target)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(target)
    return total / len(loader.dataset)


def validate(model, loader):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for past, target in loader:
            total += F.smooth_l1_loss(model(past), target).item() * len(target)
    return total / len(loader.dataset)


if __name__ == "__main__":
    cli = argparse.ArgumentParser()
    cli.add_argument("--epochs", type=int, default=6)
    cli.add_argument("--hidden", type=int, default=24)
    cli.add_argument("--lr", type=float, default=4e-3)
    opts = cli.parse_args()

    torch.manual_seed(1)
    demand = simulate_demand(24 * 84, seed=4)
    cut = 24 * 64
    mean, std = demand[:cut].mean(), demand[:cut].std()
    train_loader = DataLoader(DemandWindows(demand[:cut], mean, std), batch_size=48, shuffle=True)
    val_loader = DataLoader(DemandWindows(demand[cut:], mean, std), batch_size=200)
    model = LoadForecaster(opts.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=opts.lr)
    for epoch in range(opts.epochs):
        fitted = train(model, train_loader, optimizer)
        held_out = validate(model, val_loader)
        print(f"epoch {epoch + 1}/{opts.epochs}  train {fitted:.4f}  validation {held_out:.4f}")
