"""Forecast the level of a river one, two and three hours ahead; the loss is the mean over the horizons."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

HORIZONS = (1, 2, 3)
HISTORY = 16


def river(hours, seed):
    rng = np.random.default_rng(seed)
    rain = np.convolve(rng.gamma(0.6, 1.0, hours) * (rng.random(hours) < 0.3), np.ones(3) / 3, mode="same")
    level = np.zeros(hours)
    for t in range(2, hours):
        level[t] = 1.35 * level[t - 1] - 0.45 * level[t - 2] + 0.5 * rain[t - 1] + rng.normal(0, 0.03)
    return level


def windows(level):
    last = len(level) - max(HORIZONS)
    past = np.stack([level[t - HISTORY : t] for t in range(HISTORY, last)])
    future = np.stack([level[[t - 1 + h for h in HORIZONS]] for t in range(HISTORY, last)])
    return torch.tensor(past, dtype=torch.float32), torch.tensor(future, dtype=torch.float32)


class Forecaster(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(HISTORY, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.ahead = nn.ModuleList([nn.Linear(hidden, 1) for _ in HORIZONS])

    def forward(self, past):
        h = self.shared(past)
        return [head(h).squeeze(1) for head in self.ahead]


def horizon_loss(forecasts, future):
    mse = nn.functional.mse_loss
    parts = [mse(forecast, future[:, k]) for k, forecast in enumerate(forecasts)]
    return sum(parts) / len(parts)


torch.manual_seed(50)
level = river(2600, seed=50)
level = (level - level[:2000].mean()) / level[:2000].std()
train_set = TensorDataset(*windows(level[:2000]))
val_past, val_future = windows(level[2000:])
loader = DataLoader(train_set, batch_size=48, shuffle=True)
model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(8):
    model.train()
    running = 0.0
    for past, future in loader:
        loss = horizon_loss(model(past), future)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(past)
    model.eval()
    with torch.no_grad():
        val = horizon_loss(model(val_past), val_future).item()
    print(f"epoch {epoch + 1:2d}: training {running / len(train_set):.4f}, validation {val:.4f}")
