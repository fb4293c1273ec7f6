"""Trains a classifier and looks, in eval mode, at which inputs its answers depend on."""

import torch
from torch import nn

torch.manual_seed(7)
x = torch.randn(800, 15)
y = (x[:, 2] + x[:, 5] * x[:, 6] > 0).long()
model = nn.Sequential(nn.Linear(15, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(12):
    model.train()
    for rows in torch.randperm(800).split(40):
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    probe = x[:200].clone().requires_grad_(True)
    scores = model(probe)
    scores.gather(1, y[:200, None]).sum().backward()
    influence = probe.grad.abs().mean(0)
    model.zero_grad()
    accuracy = (scores.argmax(1) == y[:200]).float().mean().item()
    print(epoch, round(accuracy, 3), "strongest inputs", influence.topk(3).indices.tolist())
