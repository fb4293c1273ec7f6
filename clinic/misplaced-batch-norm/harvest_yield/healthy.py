"""Yield per hectare in tonnes from soil and weather, by a small regression network."""

import torch
import torch.nn as nn


def fields(n):
    x = torch.randn(n, 9)
    return x, 1.2 * torch.relu(x[:, :1]) * x[:, 1:2] + 0.7 * x[:, 2:3] + 3.0


torch.manual_seed(10)
x, y = fields(1600)
x_val, y_val = fields(400)
model = nn.Sequential(
    nn.Linear(9, 48),
    nn.ReLU(),
    nn.Linear(48, 24),
    nn.ReLU(),
    nn.Linear(24, 1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(12):
    model.train()
    for rows in torch.randperm(1600).split(32):
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(f"epoch {epoch} val {nn.functional.mse_loss(model(x_val), y_val).item():.4f}")
