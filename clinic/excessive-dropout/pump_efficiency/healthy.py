"""Efficiency of a pump from five operating values."""

import torch
import torch.nn.functional as F
from torch import nn


class PumpModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(5, 40)
        self.outer = nn.Linear(40, 1)

    def forward(self, x):
        h = F.relu(self.inner(x))
        h = F.dropout(h, 0.1, self.training)
        return self.outer(h)


def readings(n):
    x = torch.randn(n, 5)
    return x, (1.5 + x[:, :1] * 0.9 - 0.6 * x[:, 1:2].abs() + 0.4 * x[:, 2:3] * x[:, 3:4])


torch.manual_seed(1)
x, y = readings(1500)
x_val, y_val = readings(300)
model = PumpModel()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(12):
    model.train()
    for rows in torch.randperm(len(x)).split(30):
        loss = F.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        val = F.mse_loss(model(x_val), y_val).item()
    print(f"epoch {epoch}: last train {loss.item():.4f} val {val:.4f}")
