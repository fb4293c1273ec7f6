"""Momentum of 0.99 with a learning rate that fits it."""

import torch
from torch import nn

torch.manual_seed(11)
x = torch.randn(1200, 12)
y = (x @ torch.randn(12, 4) + 0.5 * torch.randn(1200, 4)).argmax(1)
model = nn.Sequential(nn.Linear(12, 64), nn.Tanh(), nn.Linear(64, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.99)
for epoch in range(20):
    for rows in torch.randperm(1200).split(60):
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, round(loss.item(), 4))
