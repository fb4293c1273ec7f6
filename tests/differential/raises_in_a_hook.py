"""The script's own hook raises inside the backward pass."""

import torch
from digest import show

torch.manual_seed(0)
w = torch.randn(3, requires_grad=True)
calls = []


def hook(grad):
    calls.append(grad.sum().item())
    if len(calls) == 3:
        raise FloatingPointError("third call")
    return grad * 2


w.register_hook(hook)
try:
    for _ in range(5):
        (w**2).sum().backward()
except FloatingPointError as error:
    print("caught", error)
show(calls, [w, w.grad])
(w**3).sum().backward()
calls.clear()
calls.extend([0, 0])
(w**3).sum().backward()
