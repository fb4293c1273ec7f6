# ci
"""Every warning is an error: ours would end the run."""

import warnings

import torch
from digest import show
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("error")
torch.manual_seed(0)
data = TensorDataset(torch.randn(32, 1, 8, 8), torch.randint(0, 3, (32,)))
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 3))
optimizer = torch.optim.AdamW(model.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=12)
losses = []
for _ in range(3):
    for x, y in DataLoader(data, 8, shuffle=True):
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(x), y, label_smoothing=0.1)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
show(losses, model.parameters(), [optimizer])
nn.functional.mse_loss(torch.zeros(3, 1), torch.zeros(3))
