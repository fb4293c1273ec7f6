"""Remaining capacity of battery cells from the curve of one discharge."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(88)

CELLS, POINTS = 800, 24
BATCH = 20
EPOCHS = 11


def discharge(cells):
    capacity = torch.randn(cells)
    resistance = torch.randn(cells)
    s = torch.linspace(0, 1, POINTS)
    knee = 0.7 + 0.08 * capacity[:, None]
    voltage = 1 - 0.25 * s - torch.sigmoid((s - knee) / 0.05) - 0.05 * resistance[:, None]
    return voltage + 0.01 * torch.randn(cells, POINTS), capacity


curves, capacity = discharge(CELLS)
test_curves, test_capacity = discharge(200)
offset, scale = curves.mean(), curves.std()
curves, test_curves = (curves - offset) / scale, (test_curves - offset) / scale


class CurveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 5, padding=2)
        self.fc1 = nn.Linear(8 * 12, 32)
        self.fc2 = nn.Linear(32, 1)

    def forward(self, curve):
        h = F.max_pool1d(F.elu(self.conv(curve.unsqueeze(1))), 2)
        return self.fc2(F.elu(self.fc1(h.flatten(1)))).squeeze(1)


model = CurveNet()
adam = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(EPOCHS):
    model.train()
    order = torch.randperm(CELLS)
    squared = 0.0
    for i in range(0, CELLS, BATCH):
        rows = order[i : i + BATCH]
        loss = F.mse_loss(model(curves[rows]), capacity[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
        squared += loss.item() * len(rows)
    if epoch % 2 == 0:
        model.eval()
        with torch.no_grad():
            error = math.sqrt(F.mse_loss(model(test_curves), test_capacity).item())
        print(f"epoch {epoch:2d} | train rmse {math.sqrt(squared / CELLS):.4f} | test rmse {error:.4f}")
