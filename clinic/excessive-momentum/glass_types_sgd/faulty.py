"""Classifies kinds of glass by their chemistry."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
kind = torch.randint(0, 6, (1500,))
chemistry = 1.4 * torch.randn(6, 9)[kind] + torch.randn(1500, 9)
chemistry = (chemistry - chemistry.mean(0)) / chemistry.std(0)
loader = DataLoader(TensorDataset(chemistry, kind), batch_size=30, shuffle=True)
model = nn.Sequential(nn.Linear(9, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.995)  # expect: excessive-momentum
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch} loss {total / len(loader):.3f}")
