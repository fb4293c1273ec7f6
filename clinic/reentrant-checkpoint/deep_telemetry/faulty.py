"""Classify telemetry frames with a deep residual body whose activations are recomputed."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return x + F.gelu(self.fc(self.norm(x)))


class FrameNet(nn.Module):
    def __init__(self, width=24, depth=4, kinds=4):
        super().__init__()
        self.body = nn.Sequential(*[Residual(width) for _ in range(depth)])
        self.head = nn.Linear(width, kinds)

    def forward(self, x):
        h = checkpoint(self.body, x, use_reentrant=True)  # expect: reentrant-checkpoint
        return self.head(h)


torch.manual_seed(9)
x = torch.randn(1500, 24)
kind = 2 * (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] + x[:, 3].abs() > 0.8).long()
model = FrameNet()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(10):
    total = 0.0
    for rows in torch.randperm(1500).split(50):
        loss = F.cross_entropy(model(x[rows]), kind[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 30
    print(f"epoch {epoch} loss {total:.4f}")
