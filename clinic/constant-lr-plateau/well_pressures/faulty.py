"""Pressure of a well from forty gauge readings, learnt in small batches."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)
weights = torch.randn(40, 1) / 40**0.5
x = torch.randn(4000, 40)
y = x @ weights + 0.35 * torch.sin(2 * x[:, :1]) + 0.3 * torch.randn(4000, 1)
loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
model = nn.Sequential(nn.Linear(40, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.11, momentum=0.55)  # expect: constant-lr-plateau
for epoch in range(6):
    total = 0.0
    for xb, yb in loader:
        loss = nn.functional.mse_loss(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch} loss {total / len(loader):.4f}")
