"""One-dimensional convolution that recognises heartbeat-like wave forms under a one-cycle schedule."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

rng = np.random.default_rng(8)
torch.manual_seed(8)


class Beats(Dataset):
    KINDS = 4

    def __init__(self, count, samples=48):
        t = np.linspace(0, 1, samples)
        self.kind = rng.integers(0, self.KINDS, count)
        centre = rng.uniform(0.4, 0.6, (count, 1))
        width = np.array([0.03, 0.08, 0.03, 0.08])[self.kind][:, None]
        sign = np.array([1.0, 1.0, -1.0, -1.0])[self.kind][:, None]
        wave = sign * np.exp(-(((t - centre) / width) ** 2)) + 0.4 * np.sin(2 * np.pi * (t + rng.random((count, 1))))
        wave += rng.normal(0, 0.2, wave.shape)
        self.wave = ((wave - wave.mean(1, keepdims=True)) / wave.std(1, keepdims=True)).astype(np.float32)

    def __len__(self):
        return len(self.kind)

    def __getitem__(self, index):
        return self.wave[index][None], int(self.kind[index])


def run_epoch(model, loader, criterion, optimizer=None, scheduler=None):
    model.train(optimizer is not None)
    loss_sum, hits = 0.0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for wave, kind in loader:
            out = model(wave)
            loss = criterion(out, kind)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
            loss_sum += loss.item() * len(kind)
            hits += (out.argmax(1) == kind).sum().item()
    return loss_sum / len(loader.dataset), hits / len(loader.dataset)


train_loader = DataLoader(Beats(1500), batch_size=50, shuffle=True)
val_loader = DataLoader(Beats(500), batch_size=250)
model = nn.Sequential(
    nn.Conv1d(1, 16, 7, padding=3, bias=False),
    nn.BatchNorm1d(16),
    nn.ReLU(),
    nn.MaxPool1d(4),
    nn.Conv1d(16, 16, 5, padding=2, bias=False),
    nn.BatchNorm1d(16),
    nn.ReLU(),
    nn.AdaptiveAvgPool1d(4),
    nn.Flatten(),
    nn.Linear(64, Beats.KINDS),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
EPOCHS = 7
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.25, total_steps=EPOCHS * len(train_loader))
for epoch in range(EPOCHS):
    train_loss, train_acc = run_epoch(model, train_loader, criterion, optimizer, scheduler)
    val_loss, val_acc = run_epoch(model, val_loader, criterion)
    rate = scheduler.get_last_lr()[0]
    print(f"{epoch}: lr {rate:.4f} train {train_loss:.4f}/{train_acc:.3f} val {val_loss:.4f}/{val_acc:.3f}")
