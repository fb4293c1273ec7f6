"""Cracked or intact: small grey images of concrete."""

import torch
import torch.nn.functional as F
from torch import nn, optim


def pictures(n):
    """Noise, and in every second picture a dark slanted line."""
    images = 0.3 * torch.randn(n, 1, 12, 12)
    cracked = torch.arange(n) % 2
    for k in range(1, n, 2):
        start, slope = torch.randint(1, 8, (1,)).item(), torch.randint(0, 2, (1,)).item()
        for row in range(12):
            images[k, 0, row, (start + slope * row // 3) % 12] -= 1.5
    return images, cracked


class CrackNet(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()
        )
        self.classify = nn.Linear(16 * 6 * 6, outputs)

    def forward(self, images):
        return self.classify(self.features(images).flatten(1))


def fit(model, images, cracked, steps=150):
    optimizer = optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    for step in range(steps):
        batch = torch.randint(0, len(images), (40,))
        scores = model(images[batch])
        loss = F.binary_cross_entropy_with_logits(scores.squeeze(1), cracked[batch].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 30 == 0:
            print(f"{step:4d} {loss.item():.5f}")


if __name__ == "__main__":
    torch.manual_seed(11)
    images, cracked = pictures(600)
    net = CrackNet(outputs=1)
    fit(net, images, cracked)
    net.eval()
    with torch.no_grad():
        fresh, truth = pictures(200)
        print("accuracy", ((net(fresh)[:, 0] > 0) == (truth > 0)).float().mean().item())
