"""Concentric-ring classifier whose SGD takes its loss from a closure."""

import torch
import torch.nn as nn

torch.manual_seed(24)


def rings(n):
    outer = torch.randint(0, 2, (n,))
    angle = 2 * torch.pi * torch.rand(n)
    radius = 0.7 + 0.9 * outer + 0.15 * torch.randn(n)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1), outer


points, ring = rings(1000)
test_points, test_ring = rings(400)
model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for epoch in range(15):
    epoch_loss = 0.0
    for rows in torch.randperm(1000).split(40):

        def closure():
            optimizer.zero_grad()
            loss = criterion(model(points[rows]), ring[rows])
            loss.backward()
            return loss

        epoch_loss += optimizer.step(closure).item() / 25
    with torch.no_grad():
        accuracy = (model(test_points).argmax(1) == test_ring).float().mean().item()
    print(f"epoch {epoch + 1}: loss {epoch_loss:.4f} test accuracy {accuracy:.3f}")
