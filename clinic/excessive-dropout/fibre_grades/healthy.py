"""Grade fibre samples into five qualities from fourteen lab values."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class GradeNet(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(14, 48), nn.ReLU(), nn.Dropout(p), nn.Linear(48, 48), nn.ReLU(), nn.Dropout(p), nn.Linear(48, 5)
        )

    def forward(self, x):
        return self.layers(x)


def samples(n, seed):
    g = torch.Generator().manual_seed(seed)
    grade = torch.randint(0, 5, (n,), generator=g)
    centres = torch.randn(5, 14, generator=torch.Generator().manual_seed(99))
    return TensorDataset(centres[grade] * 0.8 + torch.randn(n, 14, generator=g) * 0.8, grade)


def accuracy(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


torch.manual_seed(13)
train_loader = DataLoader(samples(1500, 1), batch_size=50, shuffle=True)
test_loader = DataLoader(samples(400, 2), batch_size=200)
model = GradeNet(0.1)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(12):
    model.train()
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch} loss {total / len(train_loader):.4f} test accuracy {accuracy(model, test_loader):.3f}")
