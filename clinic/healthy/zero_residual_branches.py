"""Residual network for tabular regression whose branches start at zero."""

import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Branch(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


class ResidualRegressor(nn.Module):
    def __init__(self, n_features, width, depth):
        super().__init__()
        self.stem = nn.Linear(n_features, width)
        self.branches = nn.ModuleList(Branch(width) for _ in range(depth))
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        x = self.stem(x)
        for branch in self.branches:
            x = branch(x)
        return self.out(x).squeeze(-1)


def synthesise(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 7, generator=g)
    y = x[:, 0] * x[:, 1] + torch.sin(2 * x[:, 2]) + 0.5 * x[:, 3].abs() - 0.4
    return TensorDataset(x, y + 0.05 * torch.randn(n, generator=g))


def validate(model, loader):
    model.eval()
    squared = 0.0
    with torch.no_grad():
        for x, y in loader:
            squared += (model(x) - y).square().sum().item()
    return squared / len(loader.dataset)


if __name__ == "__main__":
    cli = argparse.ArgumentParser()
    cli.add_argument("--width", type=int, default=32)
    cli.add_argument("--depth", type=int, default=3)
    cli.add_argument("--epochs", type=int, default=8)
    cfg = cli.parse_args()
    torch.manual_seed(60)
    train_loader = DataLoader(synthesise(2500, 1), batch_size=50, shuffle=True)
    val_loader = DataLoader(synthesise(500, 2), batch_size=250)
    model = ResidualRegressor(7, cfg.width, cfg.depth)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cfg.epochs)
    for epoch in range(cfg.epochs):
        model.train()
        train_sum = 0.0
        for x, y in train_loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            train_sum += loss.item() * len(y)
        scheduler.step()
        print(f"epoch {epoch}: train {train_sum / 2500:.4f} validation {validate(model, val_loader):.4f}")
