"""Sharpness-aware minimisation by hand: two backward passes to each optimizer step."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(76)


def berries(n):
    x = torch.randn(n, 7)
    ripe = torch.tanh(x[:, 0] * x[:, 1]) + x[:, 2] - 0.5 * x[:, 3] ** 2 + 0.5 > 0
    return x, ripe.float()


def perturb(parameters, radius):
    """Moves the weights uphill by `radius` and returns the moves, so that they can be undone."""
    scale = torch.stack([p.grad.norm() for p in parameters]).norm()
    moves = []
    with torch.no_grad():
        for p in parameters:
            move = radius * p.grad / (scale + 1e-12)
            p.add_(move)
            moves.append(move)
    return moves


loader = DataLoader(TensorDataset(*berries(2000)), batch_size=80, shuffle=True)
x_val, y_val = berries(600)
model = nn.Sequential(nn.Linear(7, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1), nn.Flatten(0))
parameters = list(model.parameters())
base = torch.optim.SGD(parameters, lr=0.03, momentum=0.9, weight_decay=1e-3)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(1, 15):
    model.train()
    mean = 0.0
    for x, y in loader:
        loss = criterion(model(x), y)
        base.zero_grad()
        loss.backward()
        moves = perturb(parameters, radius=0.05)
        base.zero_grad()
        criterion(model(x), y).backward()
        with torch.no_grad():
            for p, move in zip(parameters, moves):
                p.sub_(move)
        base.step()
        mean += loss.item() / len(loader)
    model.eval()
    with torch.no_grad():
        val = model(x_val)
        accuracy = ((val > 0) == y_val.bool()).float().mean().item()
    if epoch % 2 == 0:
        print(f"epoch {epoch}: train {mean:.4f} val {criterion(val, y_val).item():.4f} accuracy {accuracy:.3f}")
