"""Fault detection in a pump from vibration windows."""

import logging
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(level=logging.INFO, format="%(message)s")


@dataclass
class Run:
    epochs: int = 10
    batch_size: int = 32
    lr: float = 2e-3
    seed: int = 71


def vibration(n):
    state = torch.randint(0, 3, (n,))
    t = torch.arange(48).float()
    base = torch.sin(0.5 * t + 6.28 * torch.rand(n, 1))
    wear = torch.sin(1.5 * t + 6.28 * torch.rand(n, 1)) * (state == 1).float()[:, None] * 0.7
    shock = torch.zeros(n, 48)
    pos = torch.randint(4, 44, (n,))
    shock[torch.arange(n), pos] = 3.0 * (state == 2).float()
    return (base + wear + shock + 0.5 * torch.randn(n, 48)).unsqueeze(1), state


class PumpNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 16, 7, padding=3),
            nn.ReLU(),
            nn.Conv1d(16, 16, 5, padding=2),
            nn.ReLU(),
            nn.AdaptiveMaxPool1d(4),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(64, 3)

    def forward(self, x):
        return self.classifier(self.features(x))


def validate(model, loader, criterion):
    model.eval()
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            loss = criterion(out, y).item()  # expect: wrong-metric
            acc = (out.argmax(1) == y).float().mean().item()  # expect: wrong-metric
    return loss, acc  # expect: wrong-metric


def main():
    cfg = Run()
    torch.manual_seed(cfg.seed)
    train_loader = DataLoader(TensorDataset(*vibration(1600)), cfg.batch_size, shuffle=True)
    val_loader = DataLoader(TensorDataset(*vibration(485)), cfg.batch_size)
    model = PumpNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    for epoch in range(cfg.epochs):
        model.train()
        total, n = 0.0, 0
        for x, y in train_loader:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            n += len(y)
        val_loss, val_acc = validate(model, val_loader, criterion)
        logging.info("epoch %d train %.4f validation loss %.4f accuracy %.3f", epoch, total / n, val_loss, val_acc)


main()
