"""Gestures from an accelerometer, with random gain and jitter."""

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Gestures(Dataset):
    def __init__(self, count, seed, jitter=0.0):
        g = torch.Generator().manual_seed(seed)
        self.label = torch.randint(0, 4, (count,), generator=g)
        t = torch.linspace(0, 6.28, 24)
        self.trace = torch.sin(t * (1 + self.label[:, None])) + 0.2 * torch.randn(count, 24, generator=g)
        self.jitter = jitter

    def __len__(self):
        return len(self.label)

    def __getitem__(self, i):
        return self.trace[i] * (1 + self.jitter * torch.randn(1)), self.label[i]


def train(model, loader, optimizer):
    model.train()
    for trace, label in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(trace), label).backward()
        optimizer.step()


@torch.no_grad()
def validate(model, loader):
    model.eval()
    return sum(F.cross_entropy(model(trace), label).item() for trace, label in loader) / len(loader)


def main():
    torch.manual_seed(22)
    train_loader = DataLoader(Gestures(1200, 1, jitter=0.5), batch_size=40, shuffle=True)
    val_loader = DataLoader(Gestures(300, 2, jitter=0.5), batch_size=100)  # expect: augmented-validation
    model = torch.nn.Sequential(torch.nn.Linear(24, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for epoch in range(6):
        train(model, train_loader, optimizer)
        print(epoch, f"{validate(model, val_loader):.4f}")


main()
