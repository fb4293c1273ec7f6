"""A linear warm-up, then warm restarts told in batches, in one SequentialLR; a resumed scheduler is moved on first."""

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, ExponentialLR, LinearLR, SequentialLR

torch.manual_seed(13)
x = torch.randn(900, 12)
y = (x[:, :4].sum(1) * x[:, 4] > 0).long()
model = nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
slow = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.1)
resumed = ExponentialLR(slow, 0.99)
for _ in range(5):
    resumed.step()
warmup = LinearLR(optimizer, start_factor=0.1, total_iters=30)
scheduler = SequentialLR(optimizer, [warmup, CosineAnnealingWarmRestarts(optimizer, T_0=110)], milestones=[30])
for epoch in range(14):
    for rows in torch.randperm(900).split(36):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(epoch, round(loss.item(), 4), scheduler.get_last_lr())
