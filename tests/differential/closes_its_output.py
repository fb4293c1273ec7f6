"""Standard output and error are closed before the end."""

import os
import sys

import torch

w = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.1)
for step in range(8):
    optimizer.zero_grad()
    loss = (w**2).sum()
    loss.backward()
    optimizer.step()
    if step == 3:
        print("closing", flush=True)
        sys.stdout.close()
        sys.stdout = None
        sys.stderr.close()
        sys.stderr = None
        os.closerange(0, 3)
with open("weights.txt", "w") as file:
    file.write(f"{file.fileno()} {w.tolist()}")
