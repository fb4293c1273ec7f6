"""Ctrl-C in the middle, caught once and then not."""

import os
import signal

import torch

w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.1)


def train(steps):
    for step in range(steps):
        optimizer.zero_grad()
        (w**2).sum().backward()
        optimizer.step()
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)
    print("never")


try:
    train(10)
except KeyboardInterrupt:
    print("saving", repr(w.item()))
train(10)
