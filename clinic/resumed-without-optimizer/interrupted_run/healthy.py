"""Train, stop half-way (as a preempted job would), and go on from the checkpoint."""
import os
import tempfile

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, STOP_AT = 16, 10


def loader():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1500, 12, generator=g)
    hidden = torch.randn(12, 5, generator=g)
    y = (x @ hidden + 0.3 * torch.randn(1500, 5, generator=g)).argmax(1)
    return DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)


def build():
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.85)
    return model, optimizer, scheduler


def fit(model, optimizer, scheduler, batches, start, stop):
    criterion = nn.CrossEntropyLoss()
    for epoch in range(start, stop):
        total = 0.0
        for x, y in batches:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        print(f"epoch {epoch + 1:2d}  lr {scheduler.get_last_lr()[0]:.2e}  loss {total / len(batches):.4f}")


def main():
    torch.manual_seed(1)
    batches = loader()
    path = os.path.join(tempfile.mkdtemp(), "checkpoint.pt")
    model, optimizer, scheduler = build()
    fit(model, optimizer, scheduler, batches, 0, STOP_AT)
    torch.save(
        {
            "epoch": STOP_AT,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
        },
        path,
    )

    model, optimizer, scheduler = build()
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    start = checkpoint["epoch"]
    fit(model, optimizer, scheduler, batches, start, EPOCHS)


if __name__ == "__main__":
    main()
