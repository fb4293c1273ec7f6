"""Pump pressure from speed, flow and temperature; keeps the rate until the error stops improving."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau

torch.manual_seed(40)
state = torch.rand(1500, 3) * 2 - 1
pressure = torch.sin(2.5 * state[:, 0]) * state[:, 1] + 0.5 * state[:, 2] ** 2 + 0.03 * torch.randn(1500)
pressure = ((pressure - pressure.mean()) / pressure.std()).unsqueeze(1)
train_x, train_y, test_x, test_y = state[:1200], pressure[:1200], state[1200:], pressure[1200:]

net = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
plateau = ReduceLROnPlateau(optimizer, "max", factor=0.3, patience=0)  # expect: wrong-plateau-mode
for epoch in range(22):
    for rows in torch.randperm(1200).split(60):
        optimizer.zero_grad()
        F.mse_loss(net(train_x[rows]), train_y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        error = F.mse_loss(net(test_x), test_y)
    plateau.step(error)
    print(epoch, "error", round(error.item(), 4), "lr", optimizer.param_groups[0]["lr"])
