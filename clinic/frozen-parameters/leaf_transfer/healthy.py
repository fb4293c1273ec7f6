"""Tell six leaf outlines apart: features from a small convolutional body, a new classifier on top."""

import math

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class LeafNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 16, 7, padding=3),
            nn.ReLU(),
            nn.MaxPool1d(4),
            nn.Conv1d(16, 32, 5, padding=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(4),
        )
        self.classifier = nn.Linear(128, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def outlines(n, lobes):
    angle = torch.linspace(0, 2 * math.pi, 96)
    kind = torch.randint(0, len(lobes), (n,))
    count = torch.tensor(lobes)[kind].float()
    radius = 1 + 0.35 * torch.cos(count[:, None] * angle + 2 * math.pi * torch.rand(n, 1)) + 0.1 * torch.randn(n, 96)
    return (radius - 1).unsqueeze(1) * 3, kind


def run(model, loader, epochs, lr):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam([p for p in model.parameters()], lr=lr)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(loader):.4f}")


torch.manual_seed(4)
x, y = outlines(1200, [2, 3, 4, 5, 7, 9])
loader = DataLoader(TensorDataset(x, y), batch_size=48, shuffle=True)
net = LeafNet(6)
for name, parameter in net.named_parameters():
    parameter.requires_grad = True
run(net, loader, epochs=10, lr=2e-3)
