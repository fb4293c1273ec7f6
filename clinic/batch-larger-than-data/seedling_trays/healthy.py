"""Will a seedling survive its first month? A small network on greenhouse records."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def trays(n, seed):
    g = torch.Generator().manual_seed(seed)
    record = torch.randn(n, 6, generator=g)
    light, water, warmth = record[:, 0], record[:, 1], record[:, 2]
    vigour = 1.5 * light - 1.2 * (water - 0.4).abs() + 0.8 * warmth + 0.9
    return record, (vigour + 0.2 * torch.randn(n, generator=g) > 0).float()


def get_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--momentum", type=float, default=0.9)
    return parser.parse_args()


def main():
    args = get_args()
    torch.manual_seed(15)
    train_set, val_set = TensorDataset(*trays(600, seed=1)), TensorDataset(*trays(300, seed=2))
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=300)
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum, weight_decay=1e-4)
    criterion = nn.BCEWithLogitsLoss()

    for epoch in range(args.epochs):
        model.train()
        train_loss = 0.0
        for record, alive in train_loader:
            loss = criterion(model(record).squeeze(1), alive)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            train_loss += loss.item() * len(alive)

        model.eval()
        with torch.no_grad():
            right = sum(((model(r).squeeze(1) > 0) == (a > 0)).sum().item() for r, a in val_loader)
        print(f"epoch {epoch:2d} loss {train_loss / len(train_set):.4f} val acc {right / len(val_set):.3f}")


if __name__ == "__main__":
    main()
