"""Classify short heart-rhythm windows with a convolution and a learned pooling over time."""

import math

import torch
from torch import nn


def rhythms(count, length=64):
    t = torch.arange(length) / length
    kind = torch.randint(0, 3, (count,))
    rate = torch.tensor([3.0, 5.0, 8.0])[kind]
    phase = torch.rand(count) * 2 * math.pi
    wave = torch.sin(2 * math.pi * rate[:, None] * t + phase[:, None])
    return (wave + 0.4 * torch.randn(count, length)).unsqueeze(1), kind


class RhythmNet(nn.Module):
    def __init__(self, channels=16, classes=3):
        super().__init__()
        self.conv = nn.Conv1d(1, channels, 9, padding=4)
        self.head = nn.Linear(2 * channels, classes)

    def forward(self, x):
        h = torch.relu(self.conv(x))
        score = h.mean(1, keepdim=True).softmax(-1)
        pooled = torch.cat([(h * score).sum(-1), h.amax(-1)], dim=1)
        return self.head(pooled)


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def epoch(self, x, y, batch=40):
        self.model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x[idx]), y[idx])
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(idx)
        return total / len(x)

    @torch.no_grad()
    def accuracy(self, x, y):
        self.model.eval()
        return (self.model(x).argmax(1) == y).float().mean().item()


torch.manual_seed(21)
x_train, y_train = rhythms(1200)
x_test, y_test = rhythms(300)
trainer = Trainer(RhythmNet(), lr=3e-3)
for epoch in range(1, 13):
    loss = trainer.epoch(x_train, y_train)
    print(f"[{epoch:02d}] loss {loss:.4f} acc {trainer.accuracy(x_test, y_test):.3f}")
