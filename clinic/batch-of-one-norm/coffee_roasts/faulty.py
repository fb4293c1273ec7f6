"""Quality of a roast from its temperature curve."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)


def roasts(n):
    curve = torch.randn(n, 16)
    quality = torch.tanh(curve[:, :4].sum(1)) + 0.5 * curve[:, 5] * curve[:, 6]
    return TensorDataset(curve, quality.unsqueeze(1))


train_loader = DataLoader(roasts(800), batch_size=2, shuffle=True)  # expect: batch-of-one-norm
val_loader = DataLoader(roasts(200), batch_size=200)
model = nn.Sequential(
    nn.Linear(16, 64),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Linear(64, 32),
    nn.BatchNorm1d(32),
    nn.ReLU(),
    nn.Linear(32, 1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.MSELoss()
for epoch in range(2):
    model.train()
    total = 0.0
    for x, y in train_loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x) / 800
    model.eval()
    with torch.no_grad():
        held = sum(criterion(model(x), y).item() for x, y in val_loader)
    print(f"epoch {epoch:2d} train {total:.3f} val {held:.3f}")
