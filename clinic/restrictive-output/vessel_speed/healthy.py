"""Speed over ground of a vessel from engine and weather readings, in standard deviations from the mean."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def voyages(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 7, generator=g)
    speed = 1.4 * x[:, 0] - x[:, 1] * x[:, 1] * 0.5 + x[:, 2] * x[:, 3] + 0.4
    return TensorDataset(x, (speed / 1.9).unsqueeze(1))


def build(width):
    return nn.Sequential(
        nn.Linear(7, width),
        nn.GELU(),
        nn.Linear(width, width),
        nn.GELU(),
        nn.Linear(width, 1),
    )


def run_epoch(model, loader, optimizer=None):
    model.train(optimizer is not None)
    total = 0.0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            loss = F.mse_loss(model(x), y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(x)
    return total / len(loader.dataset)


torch.manual_seed(0)
train_loader = DataLoader(voyages(1800, 1), batch_size=36, shuffle=True)
val_loader = DataLoader(voyages(300, 2), batch_size=100)
model = build(40)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(1, 11):
    train_loss = run_epoch(model, train_loader, optimizer)
    print(f"epoch {epoch} train {train_loss:.4f} val {run_epoch(model, val_loader):.4f}")
