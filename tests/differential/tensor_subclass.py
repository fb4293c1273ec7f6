"""A tensor subclass that counts every function that works on it."""

from collections import Counter

import torch
from digest import show

READS = ("__get__", "dim", "numel", "is_floating_point")  # of what a tensor is, not of what is in it
calls = Counter()


class Counting(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        calls[getattr(function, "__name__", "?")] += 1
        return super().__torch_function__(function, types, args, kwargs or {})


torch.manual_seed(0)
x = torch.randn(8, 3).as_subclass(Counting)
w = torch.nn.Parameter(torch.zeros(3, 1).as_subclass(Counting))
optimizer = torch.optim.SGD([w], 0.1)
losses = []
for _ in range(8):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(x @ w, x.sum(1, keepdim=True))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(type(loss).__name__, type(w).__name__)
print(sorted((name, count) for name, count in calls.items() if name not in READS))
show(losses, [w.detach().as_subclass(torch.Tensor)])
