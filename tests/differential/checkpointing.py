"""Activation checkpointing, both kinds, with dropout inside: the random state must come back."""

import torch
from digest import show
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

torch.manual_seed(0)
block = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.3), nn.ReLU())
rest = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))
parameters = [*block.parameters(), *rest.parameters()]
optimizer = torch.optim.SGD(parameters, 0.1)
losses = []
for step in range(8):
    x = torch.randn(8, 6, requires_grad=True)
    hidden = checkpoint(block, x, use_reentrant=step % 2 == 0)
    loss = checkpoint_sequential(rest, 2, hidden, use_reentrant=False).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, parameters, [optimizer])
