"""Oversampled minority class of a small table."""

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
rng = np.random.default_rng(7)
x = rng.normal(size=(900, 12)).astype(np.float32)
y = (x[:, 0] + x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=900) > 1.1).astype(np.float32)


def oversample(x, y):
    few = np.flatnonzero(y == 1)
    more = rng.choice(few, size=int((y == 0).sum() - len(few)))
    return np.concatenate([x, x[more]]), np.concatenate([y, y[more]])


x, y = oversample(x, y)  # expect: data-leakage
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.25, random_state=7)  # expect: data-leakage
train = DataLoader(TensorDataset(torch.from_numpy(x_train), torch.from_numpy(y_train)), batch_size=50, shuffle=True)
val = DataLoader(TensorDataset(torch.from_numpy(x_val), torch.from_numpy(y_val)), batch_size=100)

net = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
criterion = nn.BCEWithLogitsLoss()
for epoch in range(8):
    net.train()
    for xb, yb in train:
        optimizer.zero_grad()
        loss = criterion(net(xb).squeeze(1), yb)
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        right = sum(((net(xb).squeeze(1) > 0) == (yb > 0.5)).sum().item() for xb, yb in val)
    print(f"epoch {epoch} loss {loss.item():.3f} accuracy {right / len(x_val):.3f}")
