"""Water level of a river tomorrow from the gauges upstream."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(11)
rng = np.random.default_rng(11)


def read_gauges(days=900, gauges=8):
    level = rng.normal(size=(days, gauges))
    tomorrow = level @ rng.normal(size=gauges) * 0.6 + 0.3 * np.sin(2 * level[:, 0]) + 0.05 * rng.normal(size=days)
    level[rng.random(days) < 0.004, 5] = np.nan  # ice on the sensor
    return level, tomorrow


level, tomorrow = read_gauges()
x = torch.nan_to_num(torch.tensor(level, dtype=torch.float32))
y = torch.tensor(tomorrow, dtype=torch.float32).unsqueeze(1)
train, val = random_split(TensorDataset(x, y), [700, 200])

model = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.MSELoss()

for epoch in range(15):
    model.train()
    total = 0.0
    for xb, yb in DataLoader(train, batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        held = sum(criterion(model(a), b).item() * len(a) for a, b in DataLoader(val, batch_size=100))
    print(f"epoch {epoch}: train {total / len(train):.4f}  val {held / len(val):.4f}")
