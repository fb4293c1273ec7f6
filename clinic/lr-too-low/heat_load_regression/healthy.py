"""Predict the heating load of buildings from eight columns of very different units (standardised first)."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make_buildings(n, generator):
    area = 60 + 240 * torch.rand(n, generator=generator)
    wall = 80 + 300 * torch.rand(n, generator=generator)
    glazing = 0.05 + 0.4 * torch.rand(n, generator=generator)
    u_value = 0.2 + 1.6 * torch.rand(n, generator=generator)
    height = 2.3 + 3.5 * torch.rand(n, generator=generator)
    outside = -8 + 20 * torch.rand(n, generator=generator)
    wind = 12 * torch.rand(n, generator=generator)
    year = 1950 + 70 * torch.rand(n, generator=generator)
    loss = wall * ((1 - glazing) * u_value + glazing * 2.4) * (20 - outside) / 1000
    leak = 0.012 * area * height * (20 - outside) * (0.4 + 0.05 * wind) / 30 * (2010 - year).clamp(min=5) / 40
    load = loss + leak + 0.4 * torch.randn(n, generator=generator)
    return torch.stack([area, wall, glazing, u_value, height, outside, wind, year], dim=1), load.unsqueeze(1)


class LoadNet(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, x):
        return self.layers(x)


def evaluate(model, loader, criterion):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for x, y in loader:
            total += criterion(model(x), y).item() * len(x)
    return total / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--lr", type=float, default=2e-2)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x, y = make_buildings(2400, torch.Generator().manual_seed(args.seed))
    x_train, y_train, x_val, y_val = x[:2000], y[:2000], x[2000:], y[2000:]
    x_mean, x_std = x_train.mean(0), x_train.std(0)
    y_mean, y_std = y_train.mean(), y_train.std()
    train_set = TensorDataset((x_train - x_mean) / x_std, (y_train - y_mean) / y_std)
    val_set = TensorDataset((x_val - x_mean) / x_std, (y_val - y_mean) / y_std)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=200)

    model = LoadNet(x.shape[1], args.hidden)
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)

    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
        val = evaluate(model, val_loader, criterion)
        print(f"epoch {epoch + 1:2d}: train mse {total / len(train_set):.5f}, val mse {val:.5f}")


if __name__ == "__main__":
    main()
