"""Concrete-strength style regression with a plateau schedule."""
import argparse

import numpy as np
import torch
from torch import nn, optim


def mixture(n, rng):
    parts = rng.dirichlet(np.ones(5), n)
    age = rng.uniform(1, 90, n)
    strength = 60 * parts[:, 0] + 25 * parts[:, 1] * np.log(age) - 40 * parts[:, 2] ** 2 + 10 * np.tanh(4 * (parts[:, 3] - parts[:, 4]))
    return np.column_stack([parts, np.log(age)]), strength + rng.normal(0, 1.0, n)


class Strength(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.seq = nn.Sequential(nn.Linear(6, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, 1))

    def forward(self, x):
        return self.seq(x)[:, 0]


def epoch_pass(net, x, y, criterion, optimizer=None, bs=64):
    net.train(optimizer is not None)
    total = 0.0
    with torch.set_grad_enabled(optimizer is not None):
        for idx in torch.randperm(len(x)).split(bs):
            loss = criterion(net(x[idx]), y[idx])
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(idx)
    return total / len(x)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--hidden", type=int, default=48)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--epochs", type=int, default=25)
    ap.add_argument("--patience", type=int, default=1)
    opt = ap.parse_args()
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    x, y = mixture(2400, rng)
    xm, xs, ym, ys = x[:2000].mean(0), x[:2000].std(0), y[:2000].mean(), y[:2000].std()
    x, y = torch.tensor((x - xm) / xs).float(), torch.tensor((y - ym) / ys).float()
    net = Strength(opt.hidden)
    criterion = nn.MSELoss()
    optimizer = optim.Adam(net.parameters(), lr=opt.lr)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.2, patience=opt.patience)
    for e in range(opt.epochs):
        tr = epoch_pass(net, x[:2000], y[:2000], criterion, optimizer)
        va = epoch_pass(net, x[2000:], y[2000:], criterion)
        scheduler.step(va)
        print("epoch %2d train %.4f val %.4f lr %.2e" % (e, tr, va, optimizer.param_groups[0]["lr"]))
