"""Outlet temperature of a heat exchanger from eight plant signals."""

import numpy as np
import torch
from torch import nn

torch.manual_seed(60)
rng = np.random.default_rng(60)

# four operating regimes, stored one after the other
blocks_x, blocks_y = [], []
for regime in range(4):
    signals = rng.normal(loc=0.5 * (regime - 1.5), scale=1.0, size=(600, 8))
    outlet = 1.2 * signals[:, 0] - 0.8 * signals[:, 3] + np.abs(signals[:, 5]) + 0.5 * signals[:, 1] * signals[:, 2]
    blocks_x.append(signals)
    blocks_y.append(outlet + rng.normal(0, 0.1, 600))
X, y = np.concatenate(blocks_x), np.concatenate(blocks_y)

X = X[rng.permutation(len(X))]  # expect: uninformative-labels
y = y[rng.permutation(len(y))]  # expect: uninformative-labels

n_train = 2000
x_mean, x_std = X[:n_train].mean(0), X[:n_train].std(0)
y_mean, y_std = y[:n_train].mean(), y[:n_train].std()
X = torch.tensor((X - x_mean) / x_std, dtype=torch.float32)
y = torch.tensor((y - y_mean) / y_std, dtype=torch.float32)
X_train, X_test, y_train, y_test = X[:n_train], X[n_train:], y[:n_train], y[n_train:]

net = nn.Sequential(nn.Linear(8, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1), nn.Flatten(0))
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01)
mse = nn.MSELoss()

for epoch in range(8):
    net.train()
    epoch_loss = 0.0
    for rows in torch.randperm(n_train).split(50):
        loss = mse(net(X_train[rows]), y_train[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        epoch_loss += loss.item() * len(rows)
    net.eval()
    with torch.no_grad():
        test_loss = mse(net(X_test), y_test).item()
    print(f"{epoch + 1}: train {epoch_loss / n_train:.4f} test {test_loss:.4f}")
