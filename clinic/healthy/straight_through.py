"""Binary codes with a straight-through estimator, and a domain head behind a gradient reversal."""
import torch
from torch import nn
import torch.nn.functional as F


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.where(x >= 0, torch.ones_like(x), -torch.ones_like(x))

    @staticmethod
    def backward(ctx, grad):
        return grad


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.alpha = alpha
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.alpha * grad, None


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad


torch.manual_seed(0)
x = torch.randn(512, 10)
y = (x[:, 0] + x[:, 1] > 0).long()
domain = (torch.rand(512) > 0.5).long()
enc = nn.Sequential(nn.Linear(10, 32), nn.Tanh())
task = nn.Linear(32, 2)
adv = nn.Linear(32, 2)
opt = torch.optim.Adam([*enc.parameters(), *task.parameters(), *adv.parameters()], lr=5e-3)
for epoch in range(10):
    for i in range(0, 512, 64):
        z = Sign.apply(enc(x[i : i + 64]))
        loss = F.cross_entropy(task(z), y[i : i + 64]) + 0.1 * F.cross_entropy(
            adv(Reverse.apply(z, 0.3)), domain[i : i + 64]
        )
        loss = loss + 1e-4 * Square.apply(task.weight).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
