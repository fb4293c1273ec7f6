"""Two threads inside and between operations."""

import torch
from digest import show
from torch import nn

torch.set_num_threads(2)
torch.set_num_interop_threads(2)
print(torch.get_num_threads(), torch.get_num_interop_threads())
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
model.append(nn.Linear(8, 4))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
losses = []
for _ in range(6):
    futures = [torch.jit.fork(torch.randn, [8, 3, 16, 16]) for _ in range(1)]
    x = torch.jit.wait(futures[0])
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), torch.arange(8) % 4)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(torch.get_num_threads())
show(losses, model.parameters(), [optimizer])
