"""Hourly bike rentals from hour, weekday and weather; a notebook-like script."""

import math

import torch
from torch import nn

torch.manual_seed(11)

# one row an hour, 20 weeks
hours = 20 * 7 * 24
t = torch.arange(hours)
hour, day = t % 24, (t // 24) % 7
weekend = (day >= 5).float()
season = 4 * torch.sin(2 * math.pi * t / hours)
temp = 14 + season + 7 * torch.sin(2 * math.pi * (hour - 9) / 24) + 2 * torch.randn(hours)
rain = torch.relu(torch.randn(hours) - 0.8)
wind = 12 + 4 * torch.randn(hours)
commute = torch.exp(-((hour - 8) ** 2) / 4) + torch.exp(-((hour - 17) ** 2) / 6)
leisure = torch.exp(-((hour - 14) ** 2) / 18)
rentals = 40 + 300 * (1 - weekend) * commute + (140 + 120 * weekend) * leisure
rentals = rentals * (0.5 + temp / 28).clamp(min=0.2) * torch.exp(-0.6 * rain) + 15 * torch.randn(hours)

angle = 2 * math.pi * hour / 24
table = torch.stack([angle.sin(), angle.cos(), (2 * angle).sin(), (2 * angle).cos(), weekend, temp, rain, wind], dim=1)
shuffled = torch.randperm(hours)
train_rows, test_rows = shuffled[:2800], shuffled[2800:]
table = (table - table[train_rows].mean(0)) / table[train_rows].std(0)
target = ((rentals - rentals[train_rows].mean()) / rentals[train_rows].std()).unsqueeze(1)

net = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 1))
huber = nn.SmoothL1Loss()
optimizer = torch.optim.SGD(net.parameters(), lr=8.0)  # expect: lr-too-high

for epoch in range(1, 16):
    net.train()
    running = 0.0
    for rows in train_rows[torch.randperm(len(train_rows))].split(56):
        loss = huber(net(table[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(rows)
    if epoch % 2 == 1:
        net.eval()
        with torch.no_grad():
            test = huber(net(table[test_rows]), target[test_rows]).item()
        print(f"epoch {epoch:2d}  train {running / len(train_rows):.4f}  test {test:.4f}")
