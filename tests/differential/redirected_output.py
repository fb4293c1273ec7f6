"""Standard output is a file, a pipe and a string in turn; print is replaced."""

import builtins
import contextlib
import io
import os
import sys

import torch
from digest import show

torch.manual_seed(0)
w = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.1)
losses = []


def step():
    optimizer.zero_grad()
    loss = (w**2).sum()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    print("step", len(losses))


with contextlib.redirect_stdout(io.StringIO()) as text:
    step()
print(repr(text.getvalue()))
with open("out.txt", "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
    step()
original, builtins.print = builtins.print, lambda *args: sys.stderr.write(repr(args) + "\n")
step()
builtins.print = original
sys.stdout.flush()
os.dup2(2, 1)
step()
show(losses, [w], [optimizer])
