"""Build the network without memory first, then give it some: a classifier of two rings."""

import torch
from torch import nn

torch.manual_seed(0)


def build(width):
    with torch.device("meta"):  # expect: device-mismatch
        net = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
    return net


ring = torch.randint(0, 2, (1000,))
angle = 2 * torch.pi * torch.rand(1000)
points = (1 + ring + 0.15 * torch.randn(1000)).unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], 1)
net = build(48)
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for step in range(200):
    rows = torch.randint(0, 1000, (50,))
    loss = nn.functional.cross_entropy(net(points[rows]), ring[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step + 1, loss.item())
