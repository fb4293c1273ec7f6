"""Delay of a delivery in hours from what is known when it leaves."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(12)
torch.manual_seed(12)


def orders(n):
    distance, weight = rng.gamma(2.0, 30.0, n), rng.gamma(1.5, 4.0, n)
    rush, rain = rng.integers(0, 2, n), rng.random(n)
    stops = rng.poisson(4, n)
    delay = 0.02 * distance + 0.3 * stops * rain + 0.8 * rush + 0.3 * rng.standard_normal(n)
    return distance, weight, rush, rain, stops, delay


distance, weight, rush, rain, stops, delay = orders(1400)
arrival = 3.5 + delay
features = np.column_stack([distance, weight, rush, rain, stops, arrival])  # expect: target-leak
features = (features - features[:1100].mean(0)) / features[:1100].std(0)
wanted = (delay - delay[:1100].mean()) / delay[:1100].std()
X = torch.tensor(features, dtype=torch.float32)
y = torch.tensor(wanted, dtype=torch.float32).unsqueeze(1)

model = nn.Sequential(nn.Linear(X.shape[1], 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.MSELoss()
for epoch in range(12):
    model.train()
    for xb, yb in DataLoader(TensorDataset(X[:1100], y[:1100]), batch_size=44, shuffle=True):
        loss = loss_fn(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(f"epoch {epoch} train {loss.item():.4f} test {loss_fn(model(X[1100:]), y[1100:]).item():.4f}")
