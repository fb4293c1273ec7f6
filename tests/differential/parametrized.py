"""Parametrizations: orthogonal and spectral norm, and one of the script's own."""

import torch
from digest import show
from torch import nn
from torch.nn.utils import parametrizations, parametrize


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)


torch.manual_seed(0)
model = nn.Sequential(
    parametrizations.orthogonal(nn.Linear(4, 4)),
    parametrizations.spectral_norm(nn.Linear(4, 4)),
    nn.Linear(4, 4),
)
parametrize.register_parametrization(model[2], "weight", Symmetric())
optimizer = torch.optim.Adam(model.parameters(), 0.05)
x = torch.randn(16, 4)
losses = []
for _ in range(8):
    optimizer.zero_grad()
    loss = nn.functional.smooth_l1_loss(model(x), x.flip(1))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
with parametrize.cached():
    print(model(x).sum().item())
parametrize.remove_parametrizations(model[2], "weight")
show(losses, [*model.parameters(), *model.buffers()], [optimizer])
