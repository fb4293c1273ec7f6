"""Classifies moths by wing measures with SGD and weight decay."""

import torch
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(24)
species = torch.randint(0, 5, (1500,))
wings = 1.5 * torch.randn(5, 16)[species] + torch.randn(1500, 16)
wings = (wings - wings.mean(0)) / wings.std(0)
loader = DataLoader(TensorDataset(wings, species), batch_size=50, shuffle=True)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=2e-4)
criterion = nn.CrossEntropyLoss()
for epoch in range(10):
    total, hits = 0.0, 0
    for x, y in loader:
        scores = model(x)
        loss = criterion(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
        hits += (scores.argmax(1) == y).sum().item()
    print(f"epoch {epoch} loss {total / 1500:.3f} accuracy {hits / 1500:.3f}")
