"""torch.func: functional_call, grad, vmap, jacrev, a hessian, an inner loop as in MAML."""

import torch
from digest import show
from torch.func import functional_call, grad_and_value, hessian, jacrev, stack_module_state, vmap
from torch.nn import functional as F

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
weights = {name: p.detach() for name, p in model.named_parameters()}
x, y = torch.randn(10, 3), torch.randn(10, 1)


def objective(weights, x, y):
    return F.mse_loss(functional_call(model, weights, (x,)), y)


losses = []
for _ in range(5):
    gradients, loss = grad_and_value(objective)(weights, x, y)
    weights = {name: w - 0.1 * gradients[name] for name, w in weights.items()}
    losses.append(loss)
per_sample, _ = vmap(grad_and_value(objective), (None, 0, 0))(weights, x[:, None], y[:, None])
losses.append(sum(g.norm() for g in per_sample.values()))
losses.append(jacrev(lambda v: functional_call(model, weights, (v,)).sum())(x).norm())
losses.append(hessian(lambda v: F.mse_loss(v, y[0]))(x[0, :1]).sum())
outer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(3):
    fast = dict(model.named_parameters())
    inner = objective(fast, x, y)
    steps = torch.autograd.grad(inner, list(fast.values()), create_graph=True)
    fast = {name: p - 0.05 * g for (name, p), g in zip(fast.items(), steps)}
    outer.zero_grad()
    objective(fast, x, y).backward()
    outer.step()
    losses.append(inner)
many, _ = stack_module_state([torch.nn.Linear(3, 1) for _ in range(3)])
show(losses, [*weights.values(), *model.parameters(), *many.values()], [outer])
