# ci
"""Hooks of the script's own, of every kind that torch has."""

import torch
from digest import show
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

torch.manual_seed(0)
log = []
model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
register_module_forward_hook(lambda module, args, output: log.append(type(module).__name__))
model[0].register_forward_pre_hook(lambda module, args: (args[0] * 1.5,))
model[1].register_full_backward_hook(lambda module, given, got: (given[0] * 0.5,))
model[2].weight.register_hook(lambda grad: grad.clamp(-0.1, 0.1))
model[2].bias.register_post_accumulate_grad_hook(lambda parameter: log.append(parameter.grad.item()))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: log.append("before"))
optimizer.register_step_post_hook(lambda optimizer, args, kwargs: log.append("after"))
losses = []
for _ in range(6):
    optimizer.zero_grad()
    loss = model(torch.randn(5, 3)).pow(2).mean()
    loss.grad_fn.register_prehook(lambda grads: log.append("node"))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(log)
print({name: len(hooks) for name, hooks in vars(model[1]).items() if "hooks" in name})
show(losses, model.parameters(), [optimizer])
