"""Predict whether a pump raises an alarm within the day from eleven readings of its log."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def read_log(n, seed):
    rng = np.random.default_rng(seed)
    vibration = rng.normal(0.0, 1.0, (n, 3))
    flow = rng.normal(0.2, 1.1, (n, 2))
    temperature = rng.normal(-0.1, 0.9, (n, 5))
    running_hours = rng.uniform(100, 42000, (n, 1))
    wear = (running_hours[:, 0] - 21000) / 12000
    score = 1.4 * vibration[:, 0] - vibration[:, 1] * flow[:, 0] + 0.8 * temperature[:, 2] + 1.2 * wear
    alarm = score + rng.normal(0, 0.3, n) > 0
    table = np.hstack([vibration, flow, temperature, running_hours])
    return torch.tensor(table, dtype=torch.float32), torch.tensor(alarm, dtype=torch.float32)  # expect: unscaled-features


def build(n_in, hidden):
    return nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))


def train_epoch(model, loader, optimizer, criterion):
    model.train()
    running = 0.0
    for readings, alarm in loader:
        optimizer.zero_grad()
        loss = criterion(model(readings).squeeze(1), alarm)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(alarm)
    return running / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader, criterion):
    model.eval()
    loss, hits = 0.0, 0
    for readings, alarm in loader:
        logit = model(readings).squeeze(1)
        loss += criterion(logit, alarm).item() * len(alarm)
        hits += ((logit > 0).float() == alarm).sum().item()
    return loss / len(loader.dataset), hits / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--hidden", type=int, default=32)
    args = parser.parse_args()

    torch.manual_seed(3)
    x_train, y_train = read_log(3000, seed=1)
    x_val, y_val = read_log(800, seed=2)
    train_set = TensorDataset(x_train, y_train)  # expect: unscaled-features
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True)
    val_loader = DataLoader(TensorDataset(x_val, y_val), 256)

    model = build(x_train.shape[1], args.hidden)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(1, args.epochs + 1):
        train_loss = train_epoch(model, train_loader, optimizer, criterion)
        val_loss, val_acc = evaluate(model, val_loader, criterion)
        print(f"{epoch:02d} train={train_loss:.4f} val={val_loss:.4f} acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
