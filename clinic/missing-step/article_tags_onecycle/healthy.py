"""Assign any of six tags to article vectors (multi-label) under a one-cycle learning-rate schedule."""

import argparse
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def get_args():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", default=12, type=int)
    p.add_argument("--max-lr", default=0.3, type=float)
    p.add_argument("--bs", default=64, type=int)
    return p.parse_args()


def get_data(n=2400, dim=20, tags=6, seed=33):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dim, generator=g)
    w1 = torch.randn(dim, 12, generator=g) / dim**0.5
    w2 = torch.randn(12, tags, generator=g)
    affinity = torch.tanh(2 * x @ w1) @ w2
    affinity = affinity - affinity.median(0).values
    tagged = (affinity + 0.2 * torch.randn(n, tags, generator=g) > 0).float()
    return x, tagged


def train_one_epoch(net, loader, criterion, optimizer, scheduler):
    net.train()
    meter = 0.0
    for x, tagged in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), tagged)
        loss.backward()
        optimizer.step()
        scheduler.step()
        meter += loss.item()
    return meter / len(loader)


@torch.inference_mode()
def test(net, loader, criterion):
    net.eval()
    loss = hits = cells = 0.0
    for x, tagged in loader:
        out = net(x)
        loss += criterion(out, tagged).item()
        hits += ((out > 0) == tagged.bool()).sum().item()
        cells += tagged.numel()
    return loss / len(loader), hits / cells


def main(args):
    torch.manual_seed(33)
    x, tagged = get_data()
    train_loader = DataLoader(TensorDataset(x[:2000], tagged[:2000]), args.bs, shuffle=True)
    test_loader = DataLoader(TensorDataset(x[2000:], tagged[2000:]), 200)
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 6))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.max_lr, steps_per_epoch=len(train_loader), epochs=args.epochs
    )
    start = time.time()
    for epoch in range(args.epochs):
        train_loss = train_one_epoch(net, train_loader, criterion, optimizer, scheduler)
        test_loss, test_acc = test(net, test_loader, criterion)
        print(
            f"Epoch: [{epoch}]  lr: {scheduler.get_last_lr()[0]:.5f}  loss: {train_loss:.4f}  "
            f"test loss: {test_loss:.4f}  cell accuracy: {100 * test_acc:.2f}%"
        )
    print(f"done in {time.time() - start:.1f}s")


if __name__ == "__main__":
    main(get_args())
