"""Gradients of four small batches in one step, and a parameter group that joins later."""

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(128, 6)
y = x[:, :1] * 2
body, head = nn.Linear(6, 8), nn.Linear(8, 1)
optimizer = torch.optim.SGD(body.parameters(), lr=0.05, momentum=0.5)
losses = []
for step in range(12):
    if step == 4:
        optimizer.add_param_group({"params": head.parameters(), "lr": 0.01})
    for part in torch.randperm(128).split(32):
        loss = F.smooth_l1_loss(head(torch.sigmoid(body(x[part]))), y[part]) / 4
        loss.backward()
        losses.append(loss.item())
    optimizer.step()
    optimizer.zero_grad()
show(losses, [*body.parameters(), *head.parameters()], [optimizer])
