"""The loss turns infinite, then NaN; the script goes on."""

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), 50.0)
x, y = torch.randn(16, 3) * 100, torch.randn(16, 1)
losses = []
for _ in range(14):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, model.parameters(), [optimizer])
