"""Autograd functions of the script's own, one of which saves an output and one an integer."""

import torch
from digest import show


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, width):
        ctx.save_for_backward(x)
        ctx.width = width
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() < ctx.width), None


class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        ctx.mark_non_differentiable()
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0]


torch.manual_seed(0)
w = torch.randn(5, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.1)
losses = []
for _ in range(8):
    optimizer.zero_grad()
    loss = (Step.apply(w, 2) - 0.5).pow(2).sum() + Exp.apply(w).sum()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, [w], [optimizer])
