"""A small classifier with dropout, a scheduler and clipping, mixed with draws from all three random generators."""

import random

import numpy as np
import torch
from digest import show
from torch import nn

random.seed(1)
np.random.seed(2)
torch.manual_seed(3)
x = torch.from_numpy(np.random.randn(256, 10).astype(np.float32))
y = (x.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
criterion = nn.CrossEntropyLoss()
losses = []
for _ in range(5):
    model.train()
    for _ in range(8):
        chosen = torch.tensor(random.sample(range(256), 32))
        optimizer.zero_grad()
        loss = criterion(model(x[chosen]), y[chosen])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    model.eval()
    with torch.no_grad():
        losses.append(criterion(model(x), y).item() + np.random.rand())
show(losses, model.parameters(), [optimizer])
