"""A tiny MLP on 20 features, batch 32: the smallest steps there are, so every microsecond of the observer shows."""

import sys

import torch
from torch import nn
from torch.nn import functional as F

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 16_000

torch.manual_seed(0)
features = torch.randn(4096, 20)
labels = (features[:, :5].sum(1) > 0).long() + (features[:, 5:10].sum(1) > 0).long()
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for _ in range(STEPS):
    chosen = torch.randint(0, len(features), (32,))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(features[chosen]), labels[chosen])
    loss.backward()
    optimizer.step()
print(f"{loss.item():.17g}")
