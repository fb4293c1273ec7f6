import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--momentum", type=float, default=0.999)  # expect: excessive-momentum
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)


def keywords(n):
    """Five spoken words as 20x16 spectrogram sketches."""
    y = rng.integers(0, 5, n)
    t = np.arange(20)[:, None]
    f = np.arange(16)[None, :]
    x = np.zeros((n, 20, 16))
    for i, k in enumerate(y):
        start, slope = [(3, 0.5), (13, -0.5), (8, 0.0), (3, 0.0), (12, 0.0)][k]
        track = start + slope * t + rng.normal(0, 0.7)
        x[i] = 1.6 * np.exp(-((f - track) ** 2) / 3)
    x += rng.normal(0, 0.35, x.shape)
    return torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(y)


class KWS(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc = nn.Linear(16 * 5 * 4, 5)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc(x.flatten(1))


class Momentum:
    """Heavy-ball update."""

    def __init__(self, params, lr, mu):
        self.params, self.lr, self.mu = list(params), lr, mu
        self.v = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p, v in zip(self.params, self.v):
            v.mul_(self.mu).add_(p.grad)
            p.add_(v, alpha=-self.lr)


x_train, y_train = keywords(1200)
x_val, y_val = keywords(300)
model = KWS()
optimizer = Momentum(model.parameters(), args.lr, args.momentum)  # expect: excessive-momentum
for epoch in range(args.epochs):
    model.train()
    losses = []
    for idx in torch.randperm(len(x_train)).split(40):
        loss = F.cross_entropy(model(x_train[idx]), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        out = model(x_val)
    print(f"epoch {epoch} train {np.mean(losses):.4f} val {F.cross_entropy(out, y_val).item():.4f} acc {(out.argmax(1) == y_val).float().mean().item():.3f}")
