"""Fine-tune: a batch-normalised body learns stamps of one print, then stays fixed while a head learns another print."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def stamps(n, classes, contrast, offset):
    patterns = torch.randn(classes, 32, generator=torch.Generator().manual_seed(classes))
    label = torch.randint(0, classes, (n,))
    return contrast * (patterns[label] + 0.6 * torch.randn(n, 32)) + offset, label


class StampModel(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU()
        )
        self.head = nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.encoder(x))


def fit(model, loader, epochs, frozen=False):
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=2e-3)
    for epoch in range(epochs):
        model.train()
        if frozen:
            model.encoder.eval()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(loader):.4f}")


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


torch.manual_seed(31)
x, y = stamps(1500, 6, 1.0, 0.0)
model = StampModel(6)
fit(model, DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True), 6)
old_head = model.head
print("first print", accuracy(model, x, y))

model.encoder.requires_grad_(False)
model.head = nn.Linear(32, 4)
x2, y2 = stamps(1000, 4, 0.9, 0.3)
fit(model, DataLoader(TensorDataset(x2, y2), batch_size=50, shuffle=True), 8, frozen=True)
print("second print", accuracy(model, x2, y2))
model.head = old_head
print("first print again", accuracy(model, x, y))
