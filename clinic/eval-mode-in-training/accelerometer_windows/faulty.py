"""Recognise five activities in windows of a three-axis accelerometer; loops split into train and validate functions."""

import argparse

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

ACTIVITIES = {  # main frequency in Hz, amplitude in g
    "lying": (0.0, 0.05),
    "sitting": (0.4, 0.5),
    "cycling": (1.2, 0.8),
    "walking": (2.0, 1.0),
    "running": (3.2, 1.8),
}


class Windows(Dataset):
    def __init__(self, n, rng, samples=40):
        self.label = rng.integers(0, len(ACTIVITIES), n)
        freq, amp = np.array(list(ACTIVITIES.values()))[self.label].T
        t = np.arange(samples) / 20
        phase = rng.uniform(0, 2 * np.pi, (n, 3, 1))
        freq = freq * rng.uniform(0.85, 1.15, n)
        amp = amp * rng.uniform(0.8, 1.2, n)
        x = amp[:, None, None] * np.sin(2 * np.pi * freq[:, None, None] * t + phase)
        self.x = (x + 0.3 * rng.standard_normal(x.shape)).astype(np.float32)

    def scale(self, mean, std):
        self.x = (self.x - mean) / std
        return self

    def __len__(self):
        return len(self.label)

    def __getitem__(self, i):
        return self.x[i], self.label[i]


def conv_unit(c_in, c_out):
    return [nn.Conv1d(c_in, c_out, 5, padding=2, bias=False), nn.BatchNorm1d(c_out), nn.ReLU(), nn.MaxPool1d(2)]


def train(model, loader, criterion, optimizer):  # expect: eval-mode-in-training
    total = 0.0
    for x, label in loader:  # expect: eval-mode-in-training
        optimizer.zero_grad()
        output = model(x)  # expect: eval-mode-in-training
        loss = criterion(output, label)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(label)
    return total / len(loader.dataset)


def validate(model, loader, criterion):
    model.eval()  # expect: eval-mode-in-training
    total, correct = 0.0, 0
    with torch.no_grad():
        for x, label in loader:
            output = model(x)
            total += criterion(output, label).item() * len(label)
            correct += (output.argmax(1) == label).sum().item()
    return total / len(loader.dataset), correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=18)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train_set, val_set = Windows(1800, rng), Windows(400, rng)
    mean, std = train_set.x.mean((0, 2), keepdims=True)[0], train_set.x.std((0, 2), keepdims=True)[0]
    train_loader = DataLoader(train_set.scale(mean, std), batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set.scale(mean, std), batch_size=200)

    model = nn.Sequential(
        *conv_unit(3, 16), *conv_unit(16, 24), nn.Flatten(), nn.Dropout(0.3), nn.Linear(24 * 10, len(ACTIVITIES))
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    best = 0.0
    for epoch in range(args.epochs):
        train_loss = train(model, train_loader, criterion, optimizer)
        val_loss, val_acc = validate(model, val_loader, criterion)
        best = max(best, val_acc)
        print(f"epoch {epoch}: train {train_loss:.4f}, val {val_loss:.4f}, acc {val_acc:.3f} (best {best:.3f})")


if __name__ == "__main__":
    main()
