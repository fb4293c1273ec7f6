"""Tells bird calls apart; the learning rate is halved when an epoch was no better than the one before."""

import torch
from torch import nn

torch.manual_seed(22)
bird = torch.randint(0, 8, (1600,))
call = 0.8 * torch.randn(8, 32)[bird] + torch.randn(1600, 32)
net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 8))
opt = torch.optim.SGD(net.parameters(), lr=0.02)
criterion = nn.CrossEntropyLoss()
previous = float("inf")
for epoch in range(26):
    summed, parts = 0.0, torch.randperm(1600).split(64)
    for rows in parts:
        loss = criterion(net(call[rows]), bird[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        summed += loss.item()
    mean = summed / len(parts)
    if summed > previous:  # expect: scheduler-kills-lr
        for group in opt.param_groups:
            group["lr"] *= 0.5
    previous = mean
    print(epoch, round(mean, 4), opt.param_groups[0]["lr"])
