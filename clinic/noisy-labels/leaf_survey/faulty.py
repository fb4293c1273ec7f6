"""Leaf species from outline measurements that volunteers labelled, each leaf by one of them."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

SPECIES = 6


class Survey:
    """Stands for the field app: measurements of a leaf, and what the volunteer chose from the list."""

    def __init__(self, leaves, careless, seed=11):
        rng = np.random.default_rng(seed)
        outlines = rng.normal(size=(SPECIES, 14)) * 1.4
        species = rng.integers(0, SPECIES, leaves)
        self.measurements = (outlines[species] + 0.6 * rng.normal(size=(leaves, 14))).astype(np.float32)
        hurried = rng.random(leaves) < careless
        self.answers = np.where(hurried, rng.integers(0, SPECIES, leaves), species)  # expect: noisy-labels

    def dataset(self):
        return TensorDataset(torch.from_numpy(self.measurements), torch.from_numpy(self.answers))


def evaluate(model, criterion, loader):
    model.eval()
    loss, right, seen = 0.0, 0, 0
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            loss += criterion(out, y).item() * len(y)
            right += (out.argmax(1) == y).sum().item()
            seen += len(y)
    return loss / seen, right / seen


def main():
    torch.manual_seed(4)
    data = Survey(3000, careless=0.35).dataset()
    train, val = random_split(data, [2400, 600])
    train_loader = DataLoader(train, batch_size=64, shuffle=True)
    val_loader = DataLoader(val, batch_size=200)
    model = nn.Sequential(nn.Linear(14, 48), nn.ReLU(), nn.Linear(48, SPECIES))
    criterion = nn.CrossEntropyLoss()  # expect: noisy-labels
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    for epoch in range(15):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)  # expect: noisy-labels
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: val loss %.3f accuracy %.3f" % evaluate(model, criterion, val_loader))


if __name__ == "__main__":
    main()
