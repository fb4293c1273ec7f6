"""Recognise five ways of walking from foot-pressure sequences: a recurrent encoder and a small head."""

import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

STEPS, SENSORS, GAITS = 20, 4, 5


def walks(n, seed):
    """The order in which heel, sole and toes are loaded tells the gaits apart, not how much they are loaded."""
    g = torch.Generator().manual_seed(seed)
    gait = torch.randint(0, GAITS, (n,), generator=g)
    lag = torch.tensor([[0, 1, 2, 3], [0, 3, 2, 1], [0, 2, 0, 2], [0, 0, 2, 2], [0, 2, 2, 0]], dtype=torch.float32)
    start = 8 * torch.rand(n, 1, generator=g)
    time = torch.arange(STEPS, dtype=torch.float32)[None, :, None]
    angle = 2 * torch.pi * (time - start[:, :, None] - 2 * lag[gait][:, None, :]) / 8
    return torch.sin(angle) + 0.5 * torch.randn(n, STEPS, SENSORS, generator=g), gait


class GaitEncoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.GRU(SENSORS, hidden, batch_first=True)

    def forward(self, walk):
        _, last = self.rnn(walk)
        return last[-1]


class GaitModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.encoder = GaitEncoder(hidden)
        self.head = nn.Sequential(nn.Linear(hidden, 16), nn.ReLU(), nn.Linear(16, GAITS))

    def forward(self, walk):
        code = self.encoder(walk).data  # expect: detached-loss
        return self.head(code)


class Meter:
    def __init__(self):
        self.total, self.count = 0.0, 0

    def add(self, value, n):
        self.total += value * n
        self.count += n

    @property
    def mean(self):
        return self.total / self.count


def train(model, loader, criterion, optimizer):
    model.train()
    losses = Meter()
    for walk, gait in loader:
        loss = criterion(model(walk), gait)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)
        optimizer.step()
        losses.add(loss.item(), len(gait))
    return losses.mean


def validate(model, loader, criterion):
    model.eval()
    losses, accuracy = Meter(), Meter()
    with torch.no_grad():
        for walk, gait in loader:
            scores = model(walk)
            losses.add(criterion(scores, gait).item(), len(gait))
            accuracy.add((scores.argmax(1) == gait).float().mean().item(), len(gait))
    return losses.mean, accuracy.mean


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", default=6, type=int)
    parser.add_argument("--hidden", default=12, type=int)
    parser.add_argument("--lr", default=0.01, type=float)
    args = parser.parse_args()
    torch.manual_seed(7)
    train_loader = DataLoader(TensorDataset(*walks(1280, seed=1)), batch_size=40, shuffle=True)
    val_loader = DataLoader(TensorDataset(*walks(500, seed=2)), batch_size=250)
    model = GaitModel(args.hidden)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        train_loss = train(model, train_loader, criterion, optimizer)
        val_loss, val_acc = validate(model, val_loader, criterion)
        print(f"Epoch [{epoch + 1}/{args.epochs}] train {train_loss:.4f} val {val_loss:.4f} top1 {100 * val_acc:.1f}")


if __name__ == "__main__":
    main()
