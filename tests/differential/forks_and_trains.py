"""Parent and child train on after a fork; the child raises."""

import os
import sys

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))


def train(name):
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        print(name, repr(loss.item()), flush=True)


train("before")
pid = os.fork()
if pid == 0:
    train("child")
    raise RuntimeError("in the child")
print(os.waitpid(pid, 0)[1] >> 8, flush=True)
train("parent")
sys.exit(0)
