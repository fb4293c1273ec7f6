# ci
"""A module with relative imports."""

import sys

import torch
from digest import show
from torch.nn import functional as F

from . import RATE
from .network import Net

print(__name__, __package__, __spec__.name, sys.argv[1:], sys.path[0])
torch.manual_seed(0)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), RATE)
x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
losses = []
for _ in range(int(sys.argv[2])):
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, net.parameters(), [optimizer])
