"""Which of two interleaved rings does a point lie on?"""

import torch
import torch.nn as nn
from sklearn.datasets import make_circles

torch.manual_seed(1)
points, ring = make_circles(1500, noise=0.06, factor=0.5, random_state=1)
x = torch.tensor(points, dtype=torch.float32) / 0.56
y = torch.tensor(ring, dtype=torch.float32)

model = nn.Sequential(
    nn.Linear(2, 32),  # expect: missing-nonlinearity
    nn.Linear(32, 32),  # expect: missing-nonlinearity
    nn.Linear(32, 1),  # expect: missing-nonlinearity
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.BCEWithLogitsLoss()
for epoch in range(12):
    for idx in torch.randperm(1200).split(40):
        optimizer.zero_grad()
        loss = criterion(model(x[idx]).squeeze(1), y[idx])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        acc = ((model(x[1200:]).squeeze(1) > 0) == (y[1200:] > 0.5)).float().mean()
    print(f"epoch {epoch} loss {loss.item():.4f} held-out accuracy {acc:.3f}")
