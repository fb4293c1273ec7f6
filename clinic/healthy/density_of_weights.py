"""Log-likelihood of a normalising shift-and-scale flow on a narrow density: the loss goes below zero, as it should."""

import math

import torch
from torch import nn


class Affine(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 2))

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        shift, scale = self.net(a).chunk(2, dim=1)
        scale = torch.tanh(scale) * 2
        b = (b - shift) * torch.exp(-scale)
        return (torch.cat([b, a], 1) if self.flip else torch.cat([a, b], 1)), -scale.sum(1)


class Flow(nn.Module):
    def __init__(self, layers=6):
        super().__init__()
        self.layers = nn.ModuleList(Affine(k % 2 == 1) for k in range(layers))

    def log_prob(self, x):
        logdet = torch.zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            logdet = logdet + change
        return -0.5 * (x**2).sum(1) - math.log(2 * math.pi) + logdet


torch.manual_seed(9)
flow = Flow()
optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
for step in range(250):
    first = 0.2 * torch.randn(128, 1)
    sample = torch.cat([first, first.square() * 2 + 0.05 * torch.randn(128, 1)], 1)
    loss = -flow.log_prob(sample).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step} nll {loss.item():.3f}")
