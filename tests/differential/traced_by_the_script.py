"""The script traces and profiles its own lines."""

import sys

import torch
from digest import show

lines, calls = [], []


def trace(frame, event, argument):
    if frame.f_code.co_filename == __file__:
        lines.append((event, frame.f_lineno))
        return trace
    return None


def step():
    optimizer.zero_grad()
    loss = (w**2).sum()
    loss.backward()
    optimizer.step()
    return loss.item()


torch.manual_seed(0)
w = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.1)
step()
sys.settrace(trace)
losses = [step() for _ in range(3)]
sys.settrace(None)
sys.setprofile(lambda frame, event, argument: calls.append(event) if frame.f_code is step.__code__ else None)
losses += [step() for _ in range(3)]
sys.setprofile(None)
print(lines, calls)
show(losses, [w], [optimizer])
