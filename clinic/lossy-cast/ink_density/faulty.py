"""How much ink is on the page? Regression of a share between 0 and 1 from a small scan."""

import numpy as np
import torch
from torch import nn

torch.manual_seed(2)
rng = np.random.default_rng(2)
scans = rng.random((900, 12, 12)) ** rng.uniform(0.5, 4, (900, 1, 1))
share = scans.mean(axis=(1, 2))

x = torch.from_numpy(scans).float().unsqueeze(1)
x = (x - x[:700].mean()) / x[:700].std()
y = torch.from_numpy(share).long().float()  # expect: lossy-cast

net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 25, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
criterion = nn.L1Loss()
for epoch in range(12):
    order = torch.randperm(700)
    total = 0.0
    for start in range(0, 700, 35):
        rows = order[start : start + 35]
        optimizer.zero_grad()
        loss = criterion(net(x[rows]).squeeze(1), y[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() / 20
    with torch.no_grad():
        held = criterion(net(x[700:]).squeeze(1), torch.from_numpy(share[700:]).float())
    print(f"epoch {epoch + 1}: {total:.4f} / {held:.4f}")
