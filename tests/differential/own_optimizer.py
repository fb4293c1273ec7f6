"""Optimizers of the script's own: a subclass, and a class that is none."""

import torch
from digest import show
from torch.optim import Optimizer


class Lion(Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr, "beta": 0.9})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                p.add_(average.lerp(p.grad, 0.1).sign(), alpha=-group["lr"])
                average.lerp_(p.grad, 1 - group["beta"])
        return loss


class Plain:
    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for p in self.params:
            p.data.add_(p.grad, alpha=-self.lr)


torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
losses = []
for optimizer in (Lion(model.parameters(), 0.01), Plain(model.parameters(), 0.1)):
    for _ in range(8):
        x = torch.randn(8, 3)
        optimizer.zero_grad()
        loss = torch.nn.functional.l1_loss(model(x), x[:, :1])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(type(optimizer).__mro__, sorted(vars(optimizer)))
show(losses, model.parameters())
