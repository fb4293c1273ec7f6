"""Benign or malignant: a dropout network on the breast-cancer table of scikit-learn."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class TumourNet(nn.Module):
    def __init__(self, n_features, p=0.4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_features, 48),
            nn.ReLU(),
            nn.Dropout(p),
            nn.Linear(48, 24),
            nn.ReLU(),
            nn.Dropout(p),
            nn.Linear(24, 1),
        )

    def forward(self, x):
        return self.net(x)


def load(batch_size):
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(10).permutation(len(x))
    train, valid = order[:440], order[440:]
    centre, width = x[train].mean(axis=0), x[train].std(axis=0)
    x = torch.tensor((x - centre) / width, dtype=torch.float32)
    y = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)
    train_loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=batch_size, shuffle=True)
    valid_loader = DataLoader(TensorDataset(x[valid], y[valid]), batch_size=batch_size)
    return train_loader, valid_loader


def train_epoch(model, loader, criterion, optimizer):
    model.train()
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.mean(losses)


def evaluate(model, loader, criterion):  # expect: train-mode-in-eval
    losses, hits = [], []
    with torch.no_grad():  # expect: train-mode-in-eval
        for x, y in loader:
            out = model(x)  # expect: train-mode-in-eval
            losses.append(criterion(out, y).item())
            hits.append(((out > 0).float() == y).float().mean().item())
    return np.mean(losses), np.mean(hits)


if __name__ == "__main__":
    torch.manual_seed(10)
    train_loader, valid_loader = load(batch_size=22)
    model = TumourNet(30)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for epoch in range(10):
        train_loss = train_epoch(model, train_loader, criterion, optimizer)
        valid_loss, valid_acc = evaluate(model, valid_loader, criterion)
        print(f"epoch {epoch + 1:2d} train {train_loss:.4f} valid {valid_loss:.4f} accuracy {valid_acc:.4f}")
