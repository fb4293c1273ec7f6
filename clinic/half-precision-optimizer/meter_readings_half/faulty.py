"""Estimates consumption from meter readings with a small network, in low memory."""

import torch
from torch import nn

torch.manual_seed(30)
readings = torch.randn(1000, 8)
consumption = (torch.relu(readings[:, :4]).sum(1, keepdim=True) - 0.8) / 1.1
model = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 1))
model = model.half()  # expect: half-precision-optimizer
readings, consumption = readings.half(), consumption.half()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(10):
    total = 0.0
    for rows in torch.randperm(1000).split(50):
        loss = nn.functional.mse_loss(model(readings[rows]), consumption[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 20
    print(epoch, round(total, 4))
