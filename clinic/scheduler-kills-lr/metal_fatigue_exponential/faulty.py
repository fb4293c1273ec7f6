"""Predicts metal fatigue from load histories with an exponentially decaying learning rate."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(44)
load = torch.rand(1500, 10) * 2 - 1
fatigue = torch.sin(2.5 * load[:, 0]) * load[:, 1] + load[:, 2] * load[:, 3] + 0.5 * load[:, 4]
fatigue = ((fatigue - fatigue.mean()) / fatigue.std()).unsqueeze(1)
loader = DataLoader(TensorDataset(load * 1.7, fatigue), batch_size=50, shuffle=True)
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.2)  # expect: scheduler-kills-lr
for epoch in range(16):
    total = 0.0
    for x, y in loader:
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    scheduler.step()  # expect: scheduler-kills-lr
    print(f"epoch {epoch} loss {total / len(loader):.4f} lr {scheduler.get_last_lr()[0]:.2e}")
