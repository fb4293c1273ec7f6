"""Train for a number of steps instead of epochs: two spirals."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(40)


def spirals(n):
    arm = torch.randint(0, 2, (n,))
    r = torch.rand(n) * 2 + 0.3
    angle = 5 * r + arm * torch.pi
    return torch.stack([r * angle.cos(), r * angle.sin()], 1) + 0.05 * torch.randn(n, 2), arm


def endless(loader):
    while True:
        yield from loader


def main(steps=400):
    loader = DataLoader(TensorDataset(*spirals(1200)), batch_size=20, shuffle=True)
    points, arm = spirals(400)
    net = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    batches = endless(loader)
    for step in range(steps):
        x, y = next(batches)
        loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 80 == 79:
            with torch.no_grad():
                accuracy = (net(points).argmax(1) == arm).float().mean()
            print(f"step {step + 1}: loss {loss.item():.4f}, accuracy {accuracy:.3f}")


main()
