"""Electricity-load forecast of three quantiles with the pinball loss."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

QUANTILES = torch.tensor([0.1, 0.5, 0.9])


def pinball(predicted, target):
    miss = target.unsqueeze(1) - predicted
    return torch.maximum(QUANTILES * miss, (QUANTILES - 1) * miss).mean()


def load_curve(n):
    hour, heat = torch.rand(n), torch.randn(n)
    spread = 0.1 + 0.25 * hour
    load = torch.sin(2 * torch.pi * hour) + 0.5 * heat + spread * torch.randn(n)
    return torch.stack([torch.sin(2 * torch.pi * hour), torch.cos(2 * torch.pi * hour), 2 * hour - 1, heat], 1), load


class QuantileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(4, 40), nn.GELU(), nn.Linear(40, 40), nn.GELU())
        self.out = nn.Linear(40, len(QUANTILES))

    def forward(self, x):
        return self.out(self.hidden(x))


def main():
    torch.manual_seed(53)
    train_loader = DataLoader(TensorDataset(*load_curve(2500)), batch_size=50, shuffle=True)
    x_val, y_val = load_curve(800)
    net = QuantileNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    for epoch in range(10):
        net.train()
        running = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = pinball(net(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item()
        scheduler.step()
        net.eval()
        with torch.no_grad():
            predicted = net(x_val)
            covered = (y_val.unsqueeze(1) <= predicted).float().mean(0)
            val = pinball(predicted, y_val).item()
        below = " ".join(f"{c:.2f}" for c in covered)
        print(f"epoch {epoch + 1}: train {running / len(train_loader):.4f} val {val:.4f} below each quantile {below}")


if __name__ == "__main__":
    main()
