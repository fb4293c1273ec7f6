"""A compiled model, and a compiled step of the optimizer."""

import logging

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch._logging.set_logs(all=logging.ERROR)  # what it warns of has the time in it
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
fast = torch.compile(model, backend="aot_eager")
optimizer = torch.optim.Adam(model.parameters(), 0.01)
x, y = torch.randn(16, 4), torch.randint(0, 2, (16,))


@torch.compile(backend="eager")
def update():
    optimizer.step()
    optimizer.zero_grad()


losses = []
for _ in range(60):
    loss = F.cross_entropy(fast(x), y)
    loss.backward()
    update()
    losses.append(loss.item())
print(dict(torch._dynamo.utils.counters["graph_break"]), dict(torch._dynamo.utils.counters["unimplemented"]))
show(losses, model.parameters(), [optimizer])
