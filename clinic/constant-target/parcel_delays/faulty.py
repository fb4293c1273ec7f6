"""Will a parcel be late? A classifier on what is known when it is sent."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Parcels(Dataset):
    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.facts = rng.normal(size=(count, 7)).astype(np.float32)
        hours = 40 + 12 * self.facts[:, 0] - 9 * self.facts[:, 3] + 6 * self.facts[:, 1] * self.facts[:, 2]
        self.minutes = 60 * (hours + rng.normal(size=count))
        self.late = (self.minutes == 40).astype(np.float32)  # expect: constant-target

    def __len__(self):
        return len(self.facts)

    def __getitem__(self, index):
        return self.facts[index], self.late[index]


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = sum(((model(x).squeeze(1) > 0) == (y > 0.5)).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=2e-3)
    options = parser.parse_args()
    torch.manual_seed(0)
    train = DataLoader(Parcels(1500, 1), batch_size=50, shuffle=True)
    held = DataLoader(Parcels(400, 2), batch_size=200)
    model = nn.Sequential(nn.Linear(7, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(1, options.epochs + 1):
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            loss = criterion(model(x).squeeze(1), y)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {evaluate(model, held):.3f}")
