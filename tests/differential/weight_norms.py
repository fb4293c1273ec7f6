"""Both weight norms, old and new, and the old spectral norm."""

import warnings

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    old = nn.utils.weight_norm(nn.Linear(3, 4))
model = nn.Sequential(old, nn.ELU(), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.ELU())
model.append(nn.utils.spectral_norm(nn.Linear(4, 1)))
optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True)
losses = []
for _ in range(8):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    loss = nn.HuberLoss()(model(x), x.prod(1, keepdim=True))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, [*model.parameters(), *model.buffers()], [optimizer])
