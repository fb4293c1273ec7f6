"""A folder that is run by its path."""

import sys

import torch
from digest import show
from helper import STEPS

print(__name__, __package__, sys.argv, sys.path[0])
torch.manual_seed(1)
w = torch.zeros(3, requires_grad=True)
x = torch.randn(10, 3)
losses = []
for _ in range(STEPS):
    loss = ((x @ w - 1) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad.zero_()
    losses.append(loss.item())
show(losses, [w])
