"""Memory runs out in the middle; the script says so itself and goes on with less."""

import resource

import torch
from digest import show

torch.manual_seed(0)
w = torch.ones(2, requires_grad=True)
(w**2).sum().backward()
w.grad = None
resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
size, losses = 2**34, []
while len(losses) < 8:
    try:
        x = torch.ones(size)
        loss = (w * x[:2]).pow(2).sum()
        loss.backward()
        w.data -= 0.1 * w.grad
        w.grad = None
        losses.append(loss.item())
    except (RuntimeError, MemoryError) as error:
        print(type(error).__name__, size)
        size //= 2**20
show(losses, [w])
