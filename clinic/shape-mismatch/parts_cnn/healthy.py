"""Classify machine parts (disc, washer, bolt, plate) from 28 x 28 silhouettes."""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

PARTS = ("disc", "washer", "bolt", "plate")


def draw(n, seed):
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:28, 0:28]
    label = rng.integers(0, len(PARTS), n)
    images = np.zeros((n, 1, 28, 28), dtype=np.float32)
    for i, kind in enumerate(label):
        cy, cx = rng.uniform(11, 17, 2)
        size = rng.uniform(6, 9)
        dy, dx = np.abs(rows - cy), np.abs(cols - cx)
        radius = np.hypot(dy, dx)
        if kind == 0:
            mask = radius < size * 0.8
        elif kind == 1:
            mask = (radius < size) & (radius > size * 0.55)
        elif kind == 2:
            mask = ((dy < size) & (dx < 2)) | ((np.abs(rows - cy + size) < 2.5) & (dx < 5))
        else:
            mask = (dy < size * 0.7) & (dx < size)
        images[i, 0] = mask
    images += rng.normal(0, 0.3, images.shape).astype(np.float32)
    return torch.from_numpy((images - 0.2) / 0.5), torch.from_numpy(label)


class PartNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Linear(16 * 4 * 4, 64)
        self.out = nn.Linear(64, len(PARTS))

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.out(torch.relu(self.fc(x)))


def train(args, model, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print(f"Train epoch {epoch} [{batch_idx * len(data)}/{len(loader.dataset)}] loss {loss.item():.4f}")


def test(model, loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            test_loss += nn.functional.cross_entropy(output, target, reduction="sum").item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    n = len(loader.dataset)
    print(f"Test: average loss {test_loss / n:.4f}, accuracy {correct}/{n}")


def main():
    parser = argparse.ArgumentParser(description="silhouettes of machine parts")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=15)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_loader = DataLoader(TensorDataset(*draw(1500, seed=10)), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset(*draw(400, seed=11)), batch_size=200)
    model = PartNet()
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        test(model, test_loader)


if __name__ == "__main__":
    main()
