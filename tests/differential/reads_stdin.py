# stdin: 0.1\n6\nthe rest\n
"""Settings come on standard input."""

import sys

import torch
from digest import show

rate, steps = float(input("rate? ")), int(input("steps? "))
torch.manual_seed(0)
w = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.Adagrad([w], lr=rate)
losses = []
for _ in range(steps):
    optimizer.zero_grad()
    loss = (w - torch.tensor([1.0, 2.0])).abs().sum()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(repr(sys.stdin.read()))
show(losses, [w], [optimizer])
