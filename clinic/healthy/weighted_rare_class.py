"""Defect detector with one positive in twelve, balanced through pos_weight and judged by recall and precision."""

import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def parts(n, seed):
    g = torch.Generator().manual_seed(seed)
    defect = (torch.rand(n, generator=g) < 1 / 12).float()
    x = torch.randn(n, 9, generator=g)
    x[:, 0] += 2.2 * defect
    x[:, 1] -= 1.8 * defect
    x[:, 2] += 1.5 * defect * x[:, 3].sign()
    return x, defect


def report(model, x, y):
    model.eval()
    with torch.no_grad():
        flagged = model(x).squeeze(1) > 0
    hits = (flagged & y.bool()).sum().item()
    return hits / y.sum().item(), hits / max(flagged.sum().item(), 1)


def main(args):
    torch.manual_seed(args.seed)
    x, y = parts(2400, 1)
    x_val, y_val = parts(1200, 2)
    loader = DataLoader(TensorDataset(x, y), batch_size=args.batch_size, shuffle=True)
    model = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 1))
    criterion = nn.BCEWithLogitsLoss(pos_weight=(y == 0).sum() / (y == 1).sum())
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=1e-4)
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for features, label in loader:
            optimizer.zero_grad()
            loss = criterion(model(features).squeeze(1), label)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(label)
        recall, precision = report(model, x_val, y_val)
        if epoch % 2 == 0:
            print(f"epoch {epoch}: weighted loss {total / len(x):.4f} recall {recall:.3f} precision {precision:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=80)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=5)
    main(parser.parse_args())
