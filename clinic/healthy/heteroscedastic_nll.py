"""Regression that predicts its own spread, trained with the Gaussian negative log-likelihood."""

import argparse

import torch
import torch.nn as nn


class MeanAndVariance(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.mean = nn.Linear(width, 1)
        self.log_var = nn.Linear(width, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.mean(h), self.log_var(h).exp()


def draw(n, generator):
    x = 2 * torch.rand(n, 2, generator=generator) - 1
    sigma = 0.02 + 0.08 * x[:, 1:].abs()
    y = torch.sin(3 * x[:, :1]) * x[:, 1:] + sigma * torch.randn(n, 1, generator=generator)
    return x, y


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--lr", type=float, default=1e-2)
    options = parser.parse_args()

    torch.manual_seed(100)
    generator = torch.Generator().manual_seed(101)
    x, y = draw(1500, generator)
    x_val, y_val = draw(500, generator)
    model = MeanAndVariance(options.width)
    criterion = nn.GaussianNLLLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)

    for epoch in range(options.epochs):
        model.train()
        nll = 0.0
        for rows in torch.randperm(len(x)).split(75):
            mean, var = model(x[rows])
            loss = criterion(mean, y[rows], var)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            nll += loss.item() * len(rows) / len(x)
        scheduler.step()
        model.eval()
        with torch.no_grad():
            mean, var = model(x_val)
            val_nll = criterion(mean, y_val, var).item()
            rmse = (mean - y_val).pow(2).mean().sqrt().item()
        if epoch % 8 == 7:
            print(f"epoch {epoch + 1}: nll {nll:.3f} val nll {val_nll:.3f} val rmse {rmse:.4f}")


if __name__ == "__main__":
    main()
