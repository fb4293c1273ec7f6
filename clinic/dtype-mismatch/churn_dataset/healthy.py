"""Estimate which subscribers leave next month."""

import random

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset, random_split


class SubscriberDataset(Dataset):
    def __init__(self, size):
        rnd = random.Random(14)
        self.rows, self.left = [], []
        for _ in range(size):
            calls, minutes, complaints, tenure, discount = (rnd.gauss(0, 1) for _ in range(5))
            risk = 1.1 * complaints - 0.9 * tenure + 0.8 * calls * discount - 0.3 * minutes
            self.rows.append([calls, minutes, complaints, tenure, discount])
            self.left.append(int(risk + rnd.gauss(0, 0.25) > 0))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, idx):
        features = torch.tensor(self.rows[idx])
        left = torch.tensor(self.left[idx], dtype=torch.float32)
        return features, left


class ChurnModel(nn.Module):
    def __init__(self, n_features, hidden_sizes=(32, 16)):
        super().__init__()
        layers, width = [], n_features
        for size in hidden_sizes:
            layers += [nn.Linear(width, size), nn.LeakyReLU(0.1)]
            width = size
        self.trunk = nn.Sequential(*layers)
        self.logit = nn.Linear(width, 1)

    def forward(self, x):
        return self.logit(self.trunk(x)).squeeze(-1)


def run_epoch(model, loader, criterion, optimizer=None):
    model.train(optimizer is not None)
    total_loss, total_right = 0.0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for features, left in loader:
            logits = model(features)
            loss = criterion(logits, left)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total_loss += loss.item() * len(left)
            total_right += ((logits > 0) == (left > 0.5)).sum().item()
    return total_loss / len(loader.dataset), total_right / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(14)
    train_part, val_part = random_split(SubscriberDataset(2500), [2000, 500])
    train_loader = DataLoader(train_part, batch_size=80, shuffle=True)
    val_loader = DataLoader(val_part, batch_size=250)
    model = ChurnModel(n_features=5)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    for epoch in range(7):
        train_loss, train_acc = run_epoch(model, train_loader, criterion, optimizer)
        val_loss, val_acc = run_epoch(model, val_loader, criterion)
        print(f"{epoch}: train {train_loss:.4f}/{train_acc:.3f}  val {val_loss:.4f}/{val_acc:.3f}")
