"""Rents from four properties of a flat; asking prices have heavy tails, dear flats more so."""

import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(5)
torch.manual_seed(5)
n = 4000
x = rng.normal(size=(n, 4))
value = 1.0 * x[:, 0] + 0.6 * np.abs(x[:, 1]) + 0.5 * x[:, 2] * x[:, 0] - 0.3 * x[:, 3]
asked = value + 0.12 * np.exp(0.3 * x[:, 0]) * rng.standard_t(3, n)
data = torch.tensor(x, dtype=torch.float32)
target = torch.tensor(asked, dtype=torch.float32)[:, None]
x_train, y_train, x_test, y_test = data[:3000], target[:3000], data[3000:], target[3000:]

model = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(20):
    for rows in torch.randperm(3000).split(60):
        loss = loss_fn(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        test = loss_fn(model(x_test), y_test)
    print(f"{epoch:3d} train {loss.item():.4f} test {test.item():.4f}")
