"""Tell apart seven hand-drawn strokes in 12 x 12 images with a plain sequential network."""

import numpy as np
import torch
from torch import nn

torch.manual_seed(13)
rng = np.random.default_rng(13)

grid = np.linspace(-1, 1, 12)
v, u = np.meshgrid(grid, grid, indexing="ij")


def stroke(kind):
    a, b = rng.normal(0, 0.12, 2)
    distance = [
        lambda: np.abs(u - a),
        lambda: np.abs(v - a),
        lambda: np.abs(u - v - a) / 1.4,
        lambda: np.abs(u + v - a) / 1.4,
        lambda: np.abs(np.hypot(u - a, v - b) - 0.6),
        lambda: np.minimum(np.abs(u - a), np.abs(v - b)),
        lambda: np.minimum(np.abs(u - v - a), np.abs(u + v - b)) / 1.4,
    ][kind]()
    return np.exp(-((distance / 0.2) ** 2)) + rng.normal(0, 0.25, u.shape)


kinds = rng.integers(0, 7, 2100)
images = torch.tensor(np.stack([stroke(k) for k in kinds]), dtype=torch.float32).unsqueeze(1)
kinds = torch.tensor(kinds)
images = (images - images[:1700].mean()) / images[:1700].std()

network = nn.Sequential(
    nn.Conv2d(1, 16, 3, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(16 * 5 * 5, 48),
    nn.ReLU(),
    nn.Linear(48, 7),
    nn.Softmax(dim=1),  # expect: double-softmax
)
cross_entropy = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.8)

step = 0
for epoch in range(5):
    for rows in torch.randperm(1700).split(34):
        network.train()
        loss = cross_entropy(network(images[rows]), kinds[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 25 == 0:
            network.eval()
            with torch.no_grad():
                held_out = (network(images[1700:]).argmax(1) == kinds[1700:]).float().mean().item()
            print(f"{step:4d} steps: loss {loss.item():.4f}, held-out accuracy {held_out:.3f}")
