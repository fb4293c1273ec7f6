"""Identifies fish by their sounds; targets are one-hot rows."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(20)
kinds = torch.randint(0, 6, (1400,))
time = torch.linspace(0, 1, 40)
sound = torch.sin(6.28 * (2 + 1.5 * kinds.unsqueeze(1)) * time + torch.randn(1400, 1)) + 0.6 * torch.randn(1400, 40)
targets = nn.functional.one_hot(kinds, 6).float()
train_set, test_set = random_split(TensorDataset(sound, targets), [1120, 280])
train_loader, test_loader = DataLoader(train_set, 40, shuffle=True), DataLoader(test_set, 70)
net = nn.Sequential(nn.Linear(40, 80), nn.ReLU(), nn.Linear(80, 6))
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
for epoch in range(9):
    net.train()
    for wave, target in train_loader:
        loss = nn.functional.cross_entropy(net(wave), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    right = 0
    with torch.no_grad():
        for wave, target in test_loader:
            right += (net(wave).argmax(1) == target.argmax(1)).sum().item()
    print("epoch", epoch, "accuracy", round(right / len(test_set), 3))
