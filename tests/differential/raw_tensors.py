"""No module, no optimizer: tensors and autograd.grad."""

import torch
from digest import show

torch.manual_seed(0)
x = torch.randn(64, 3)
y = (x.sum(1) > 0).float()
w, b = torch.zeros(3, requires_grad=True), torch.zeros((), requires_grad=True)
losses = []
for step in range(20):
    z = x @ w + b
    loss = (torch.nn.functional.softplus(z) - y * z).mean()
    if step % 2:
        gradients = torch.autograd.grad(loss, [w, b])
    else:
        loss.backward(retain_graph=True)
        gradients = [w.grad.clone(), b.grad.clone()]
        w.grad = b.grad = None
    with torch.no_grad():
        for tensor, gradient in zip((w, b), gradients):
            tensor.sub_(gradient, alpha=0.5)
    losses.append(loss.item())
show(losses, [w, b])
