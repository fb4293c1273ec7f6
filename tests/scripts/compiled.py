"""torch.compile: the model with its loss as one graph, and a compiled model whose loss is outside."""

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(64, 8)
y = torch.randint(0, 3, (64,))
model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


@torch.compile(backend="eager", fullgraph=True)
def objective(batch, label):
    return F.cross_entropy(model(batch), label)


compiled = torch.compile(model, backend="eager")
losses = []
for step in range(20):
    optimizer.zero_grad()
    loss = objective(x, y) if step % 2 else F.cross_entropy(compiled(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
compiled.eval()
losses.append(objective(x, y).item())
show(losses, model.state_dict().values(), [optimizer])
