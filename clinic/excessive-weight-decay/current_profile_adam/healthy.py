"""Reconstructs an ocean current profile from eight soundings."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Profile(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.inward = nn.Linear(8, width)
        self.middle = nn.Linear(width, width)
        self.outward = nn.Linear(width, 20)

    def forward(self, soundings):
        hidden = torch.tanh(self.inward(soundings))
        return self.outward(torch.tanh(self.middle(hidden)))


def currents(count):
    depth = torch.linspace(0, 1, 20)
    phase, strength = 2 * math.pi * torch.rand(count, 1), 0.5 + torch.rand(count, 1)
    profile = strength * torch.sin(2 * math.pi * depth + phase)
    return profile[:, ::5].repeat(1, 2) + 0.05 * torch.randn(count, 8), profile


def train(decay):
    torch.manual_seed(16)
    soundings, profile = currents(1400)
    net = Profile()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=decay)
    for epoch in range(14):
        for rows in torch.randperm(1400).split(70):
            loss = F.mse_loss(net(soundings[rows]), profile[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "error", round(loss.item(), 4))


if __name__ == "__main__":
    train(decay=1e-5)
