"""House prices from nine standardised attributes, a small fully connected network."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

rng = np.random.default_rng(12)
torch.manual_seed(12)

# ---- the table -------------------------------------------------------------
n = 2000
area = rng.gamma(9.0, 14.0, n)
rooms = np.clip(np.round(area / 28 + rng.normal(0, 0.8, n)), 1, 9)
age = rng.uniform(0, 90, n)
distance = rng.gamma(2.0, 4.0, n)
others = rng.normal(size=(n, 5))
price = 95_000 + 2_600 * area + 14_000 * rooms - 700 * age - 5_500 * distance + 22_000 * others[:, 0]
price = price * np.exp(rng.normal(0, 0.05, n))

X = torch.tensor(np.column_stack([area, rooms, age, distance, others]), dtype=torch.float32)
y = torch.tensor(price, dtype=torch.float32).unsqueeze(1)  # expect: unscaled-target
print(f"mean price {y.mean():,.0f}, standard deviation {y.std():,.0f}")

train_part, test_part = random_split(range(n), [1600, 400], generator=torch.Generator().manual_seed(0))
train_rows, test_rows = list(train_part), list(test_part)
X = (X - X[train_rows].mean(0)) / X[train_rows].std(0)
train_set = TensorDataset(X[train_rows], y[train_rows])  # expect: unscaled-target
loader = DataLoader(train_set, batch_size=32, shuffle=True)

# ---- model and training ----------------------------------------------------
model = nn.Sequential(nn.Linear(9, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.MSELoss()

for epoch in range(10):
    model.train()
    total = 0.0
    for xb, yb in loader:
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)

    model.eval()
    with torch.no_grad():
        predicted = model(X[test_rows])
        mae = (predicted - y[test_rows]).abs().mean().item()
    print(f"epoch {epoch}: loss {total / len(train_set):.4g}, mean error on the test houses {mae:,.0f}")
