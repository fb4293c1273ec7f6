"""Sums a summed loss, a weighted mean and a mean of means, each divided by what it has to be."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(26)
x = torch.randn(1000, 9)
y = (x[:, :3].sum(1) > x[:, 3:6].prod(1)).long()
dataset = TensorDataset(x, y)
loader = DataLoader(dataset, batch_size=50, shuffle=True)
model = nn.Sequential(nn.Linear(9, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
summed = nn.CrossEntropyLoss(reduction="sum")
for epoch in range(10):
    total = weighted = means = shares = 0.0
    correct = 0
    for inputs, target in loader:
        logits = model(inputs)
        loss = nn.functional.cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            total += summed(logits, target).item()
        weighted += loss.item() * len(inputs)
        means += loss.item()
        shares += (logits.argmax(1) == target).float().mean().item()
        correct += (torch.max(logits, 1)[1] == target).sum().item()
    print(epoch, total / len(dataset), weighted / len(loader.dataset), means / len(loader))
    print("   accuracy", shares / len(loader), 100 * correct / len(dataset))
