"""Gradients of four batches a step, the last window short."""

import torch
from digest import show
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
train, held = random_split(TensorDataset(torch.randn(50, 5), torch.randn(50, 1)), [44, 6])
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
losses = []
loader = DataLoader(train, 4, shuffle=True, generator=torch.Generator().manual_seed(1))
for _ in range(3):
    for index, (x, y) in enumerate(loader):
        loss = nn.functional.mse_loss(model(x), y) / 4
        loss.backward()
        if index % 4 == 3 or index == len(loader) - 1:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    with torch.no_grad():
        losses += [nn.functional.mse_loss(model(x), y) for x, y in DataLoader(held, 3)]
show(losses, model.parameters(), [optimizer])
