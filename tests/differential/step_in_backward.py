"""The optimizer steps inside the backward pass, by a hook on each parameter."""

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizers = {p: torch.optim.SGD([p], 0.05) for p in model.parameters()}


def update(parameter):
    optimizers[parameter].step()
    optimizers[parameter].zero_grad()


for parameter in model.parameters():
    parameter.register_post_accumulate_grad_hook(update)
losses = []
for _ in range(10):
    x = torch.randn(8, 4)
    loss = nn.functional.mse_loss(model(x), x.mean(1, keepdim=True))
    loss.backward()
    losses.append(loss.item())
show(losses, model.parameters())
