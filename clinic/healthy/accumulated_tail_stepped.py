"""Accumulates four batches a step, sums undivided under Adam, and steps with what is left at the end of an epoch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)
x = torch.randn(900, 10)
y = ((x[:, 0] * x[:, 1] + x[:, 2]) > 0).float()
loader = DataLoader(TensorDataset(x, y), batch_size=20, shuffle=True)
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
bce = nn.BCEWithLogitsLoss()
for epoch in range(25):
    hits = 0
    pending = 0
    for inputs, target in loader:
        logits = model(inputs).squeeze(1)
        bce(logits, target).backward()
        hits += ((logits > 0) == (target > 0.5)).sum().item()
        pending += 1
        if pending == 4:
            optimizer.step()
            optimizer.zero_grad()
            pending = 0
    if pending:
        optimizer.step()
        optimizer.zero_grad()
    print(epoch, hits / len(x))
