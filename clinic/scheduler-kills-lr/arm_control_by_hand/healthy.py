"""Inverse kinematics network with early learning-rate control on the validation error."""
import numpy as np
import torch
import torch.nn as nn


class LRControl:
    """Halves the learning rate when the watched value has not improved."""

    def __init__(self, optimizer, factor=0.5, patience=1):
        self.optimizer, self.factor, self.patience = optimizer, factor, patience
        self.best = float("inf")
        self.bad = 0

    def update(self, value):
        if value < self.best:
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        if self.bad >= self.patience:
            self.bad = 0
            for g in self.optimizer.param_groups:
                g["lr"] *= self.factor

    @property
    def lr(self):
        return self.optimizer.param_groups[0]["lr"]


def arm(n, rng):
    q = rng.uniform(0.2, 1.3, (n, 3))
    a = np.cumsum(q, 1)
    xy = np.stack([np.cos(a).sum(1), np.sin(a).sum(1)], 1)
    inputs = np.column_stack([xy, a[:, 2]])
    return inputs, q


def normalise(train, other):
    mu, sd = train.mean(0), train.std(0)
    return [torch.tensor((v - mu) / sd, dtype=torch.float32) for v in (train, other)]


def main():
    torch.manual_seed(18)
    rng = np.random.default_rng(18)
    p, q = arm(3000, rng)
    x, xv = normalise(p[:2500], p[2500:])
    y, yv = normalise(q[:2500], q[2500:])
    net = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    control = LRControl(optimizer)
    mse = nn.MSELoss()
    for epoch in range(30):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            loss = mse(net(x[idx]), y[idx])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        net.eval()
        with torch.no_grad():
            val = mse(net(xv), yv).item()
        control.update(val)
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1:2d} train {total / len(x):.4f} val {val:.4f} lr {control.lr:.1e}")


main()
