"""Lazy layers, the meta device, buffers, shared and frozen weights, a module in a list and one in none."""

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
with torch.device("meta"):
    empty = nn.Linear(3, 3)
print(empty.weight.device, nn.functional.mse_loss(empty(torch.ones(2, 3, device="meta")), torch.ones(2, 3, device="meta")))
model = nn.Sequential(nn.LazyConv1d(4, 3), nn.LazyBatchNorm1d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
tied = nn.Linear(3, 3)
tied.weight = empty.to_empty(device="cpu").weight
nn.init.orthogonal_(tied.weight)
nn.init.zeros_(empty.bias)
model(torch.randn(2, 2, 8))
model[0].requires_grad_(False)
optimizer = torch.optim.SGD([*model.parameters(), *tied.parameters()], 0.1)
losses = []
for _ in range(6):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(tied(model(torch.randn(6, 2, 8))), torch.arange(6) % 3)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print([name for name, _ in model.named_parameters()], model)
show(losses, [*model.parameters(), *tied.parameters(), *model.buffers()], [optimizer])
