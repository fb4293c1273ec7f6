"""Neither Module nor Optimizer: hand-written layers, loss and steps, and a second phase through autograd.grad."""

import torch
from digest import show

torch.manual_seed(0)
x = torch.randn(128, 3)
y = torch.sin(x.sum(1, keepdim=True))
w1 = torch.randn(3, 16).mul_(0.5).requires_grad_()
b1 = torch.zeros(16, requires_grad=True)
w2 = torch.randn(16, 1).mul_(0.3).requires_grad_()
leaves = [w1, b1, w2]
losses = []
for _ in range(20):
    chosen = torch.randint(0, 128, (32,))
    loss = ((torch.relu(x[chosen] @ w1 + b1) @ w2 - y[chosen]) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        for leaf in leaves:
            leaf -= 0.05 * leaf.grad
            leaf.grad.zero_()
    losses.append(loss.item())
for _ in range(20):
    loss = ((torch.tanh(x @ w1 + b1) @ w2 - y) ** 2).mean()
    for leaf, gradient in zip(leaves, torch.autograd.grad(loss, leaves)):
        leaf.data -= 0.05 * gradient
    losses.append(loss.item())
show(losses, leaves)
