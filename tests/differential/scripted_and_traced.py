"""TorchScript and fx: what they compile is torch's code, not a wrapper of ours."""

import warnings

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
scripted = torch.jit.script(net)
traced = torch.jit.trace(nn.Linear(4, 3), torch.ones(2, 4))


@torch.jit.script
def objective(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(output, target) + F.mse_loss(output, torch.zeros_like(output))


optimizer = torch.optim.SGD([*scripted.parameters(), *traced.parameters()], 0.1)
losses = []
for _ in range(8):
    optimizer.zero_grad()
    x = torch.randn(8, 4)
    loss = objective(scripted(x) + traced(x), torch.arange(8) % 3)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(torch.fx.symbolic_trace(net).code, objective.code)
show(losses, [*scripted.parameters(), *traced.parameters()], [optimizer])
