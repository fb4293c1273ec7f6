"""Gradient checkpointing, reentrant (a backward inside the backward) and not (saved tensors recomputed by hooks)."""

import torch
from digest import show
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)
x = torch.randn(32, 6)
y = torch.randn(32, 1)
first = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Dropout(0.2))
second = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.BatchNorm1d(12))
head = nn.Linear(12, 1)
leaves = [*first.parameters(), *second.parameters(), *head.parameters()]
optimizer = torch.optim.SGD(leaves, lr=0.05)
losses = []
for step in range(24):
    optimizer.zero_grad()
    reentrant = step % 2 == 0
    hidden = checkpoint(first, x.clone().requires_grad_(reentrant), use_reentrant=reentrant)
    loss = F.mse_loss(head(checkpoint(second, hidden, use_reentrant=reentrant)), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, leaves, [optimizer])
