# ci
"""Raises in a loop, with a chain and a long traceback through torch."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 8)
        self.two = nn.Linear(7, 2)

    def forward(self, x):
        return self.two(self.one(x).relu())


def train(net):
    try:
        return net(torch.zeros(3, 4)).sum().backward()
    except RuntimeError as error:
        raise ValueError("the network does not fit together") from error


train(Net())
