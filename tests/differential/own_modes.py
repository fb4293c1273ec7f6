"""Modes of the script's own see every function and every operation: none of ours may be among them."""

from collections import Counter

import torch
from digest import show
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READS = ("__get__", "dim", "numel", "is_floating_point")  # of what a tensor is, not of what is in it
functions, operations = Counter(), Counter()


class Functions(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        functions[getattr(function, "__name__", "?")] += 1
        return function(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        operations[str(function)] += 1
        return function(*args, **(kwargs or {}))


torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(), torch.nn.Linear(4, 2))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
losses = []
for mode in (Operations(), Functions()):
    with mode:
        for _ in range(4):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(torch.randn(6, 3)), torch.randint(0, 2, (6,)))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
print(sorted((name, count) for name, count in functions.items() if name not in READS))
print(sorted(operations.items()))
show(losses, model.parameters(), [optimizer])
