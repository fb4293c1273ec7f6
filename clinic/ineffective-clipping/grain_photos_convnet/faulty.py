"""Tells apart three kinds of grain in small grey images with a convolutional network."""

import torch
import torch.nn.functional as F
from torch import nn


def grains(count):
    kind = torch.randint(0, 3, (count,))
    grid = torch.linspace(-1, 1, 14)
    yy, xx = torch.meshgrid(grid, grid, indexing="ij")
    stretch = torch.tensor([1.0, 2.2, 4.0])[kind].view(-1, 1, 1)
    turn = 3.14 * torch.rand(count, 1, 1)
    u, v = xx * torch.cos(turn) + yy * torch.sin(turn), -xx * torch.sin(turn) + yy * torch.cos(turn)
    image = torch.exp(-3 * (u**2 + (stretch * v) ** 2)) + 0.1 * torch.randn(count, 14, 14)
    return ((image - 0.25) / 0.3).unsqueeze(1), kind


class GrainNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 12, 3, padding=1)
        self.b = nn.Conv2d(12, 24, 3, padding=1)
        self.c = nn.Linear(24 * 9, 3)

    def forward(self, image):
        image = F.max_pool2d(F.relu(self.a(image)), 2)
        image = F.max_pool2d(F.relu(self.b(image)), 2)
        return self.c(image.flatten(1))


def run(epochs=8, max_norm=1e-4):  # expect: ineffective-clipping
    torch.manual_seed(19)
    images, kinds = grains(1500)
    net = GrainNet()
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(epochs):
        hits = 0
        for index in torch.randperm(1500).split(50):
            scores = net(images[index])
            loss = F.cross_entropy(scores, kinds[index])
            sgd.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm)  # expect: ineffective-clipping
            sgd.step()
            hits += (scores.argmax(1) == kinds[index]).sum().item()
        print(f"epoch {epoch + 1}/{epochs} loss {loss.item():.4f} hits {hits / 1500:.3f}")


run()
