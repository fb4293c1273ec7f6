"""Sound or cracked seeds from a small spectrometer; the sorter that gave the labels had a loose flap for a week."""

import argparse

import torch
from torch import nn


def spectra(n, bands, generator):
    cracked = torch.rand(n, generator=generator) < 0.45
    axis = torch.linspace(0, 1, bands)
    level = 1 + 0.2 * torch.randn(n, 1, generator=generator)
    dip = torch.exp(-((axis - 0.35 - 0.05 * torch.randn(n, 1, generator=generator)) ** 2) / 0.01)
    x = level * (0.6 + 0.3 * axis) - 0.5 * dip * cracked[:, None] + 0.05 * torch.randn(n, bands, generator=generator)
    return x, cracked.float()


def sorted_by_machine(cracked, loose, generator):
    bins = cracked.clone()
    slipped = torch.rand(len(bins), generator=generator) < loose
    bins[slipped] = 1 - bins[slipped]  # expect: noisy-labels
    return bins


class Sorter(nn.Module):
    def __init__(self, bands):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(bands, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--loose", type=float, default=0.25)
    args = parser.parse_args()
    torch.manual_seed(21)
    g = torch.Generator().manual_seed(3)
    x, cracked = spectra(5000, 40, g)
    x = (x - x.mean(0)) / x.std(0)
    y = sorted_by_machine(cracked, args.loose, g)
    model = Sorter(40)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for epoch in range(args.epochs):
        order = torch.randperm(len(x), generator=g)
        total = right = 0
        for rows in order.split(50):
            logits = model(x[rows])
            loss = criterion(logits, y[rows])  # expect: noisy-labels
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
            right += ((logits > 0) == (y[rows] > 0.5)).sum().item()
        print(f"epoch {epoch}: loss {total / len(x):.4f} accuracy {right / len(x):.3f}")


if __name__ == "__main__":
    main()
