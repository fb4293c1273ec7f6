"""Close to the limit of recursion: frames of ours must not go over it."""

import sys

import torch
from digest import show

sys.setrecursionlimit(300)
torch.manual_seed(0)
w = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.1)
losses = []


def train(depth):
    if depth:
        return train(depth - 1)
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(w, torch.zeros(2))
    loss.backward()
    optimizer.step()
    return losses.append(loss.item())


for depth in (10, 100, 200):
    train(depth)
try:
    train(1000)
except RecursionError as error:
    print(type(error).__name__)
show(losses, [w], [optimizer])
