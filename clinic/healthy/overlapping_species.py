"""Two sparrow species from four measurements: they overlap, so that one bird in five cannot be told."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(17)
species = torch.randint(0, 2, (4000,))
shift = torch.tensor([0.5, -0.4, 0.45, 0.3])
body = torch.randn(4000, 4) + (species[:, None] * 2 - 1) * shift
train, val = random_split(TensorDataset(body, species), [3000, 1000])
train_loader = DataLoader(train, batch_size=100, shuffle=True)
val_loader = DataLoader(val, batch_size=250)

model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
for epoch in range(10):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = [
            (criterion(model(x), y).item(), (model(x).argmax(1) == y).float().mean().item()) for x, y in val_loader
        ]
    print(f"epoch {epoch} loss {sum(a for a, _ in found) / 4:.3f} accuracy {sum(b for _, b in found) / 4:.3f}")
