"""Straight line through four widely spread points, with both axes standardised first."""

# verdict: healthy

import torch
from torch import nn

torch.manual_seed(5)


def zscore(column):
    column = column.float()
    return (column - column.mean(0)) / column.std(0, correction=0)


readings = torch.tensor([[1], [1000], [3000], [2]])
weights = torch.tensor([[1], [1000], [3000], [2]])
x, y = zscore(readings), zscore(weights)

line = nn.Linear(1, 1)
mse = nn.MSELoss()
opt = torch.optim.SGD(line.parameters(), lr=0.01)

for it in range(100):
    opt.zero_grad()
    loss = mse(line(x), y)
    loss.backward()
    opt.step()
    if it % 10 == 0 or it == 99:
        print(it, f"{loss.item():.5f}", f"slope {line.weight.item():.3f}")
