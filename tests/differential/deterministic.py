"""Deterministic algorithms on: an operation of ours that has none would raise."""

import os

os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"

import torch
from digest import show
from torch import nn

torch.use_deterministic_algorithms(True)
torch.utils.deterministic.fill_uninitialized_memory = True
torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(20, 6), nn.Flatten(), nn.Linear(30, 12), nn.Unflatten(1, (3, 4)))
optimizer = torch.optim.Adam(model.parameters(), 0.02)
tokens, y = torch.randint(0, 20, (16, 5)), torch.randint(0, 3, (16, 4))
losses = []
for _ in range(10):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(tokens), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(torch.are_deterministic_algorithms_enabled())
show(losses, model.parameters(), [optimizer])
