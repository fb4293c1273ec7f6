"""Machine state from short windows of a vibration sensor."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
rng = np.random.default_rng(5)
STATES = 4


def record(n):
    state = rng.integers(0, STATES, n)
    t = np.arange(48) / 48
    phase = rng.uniform(0, 2 * np.pi, n)
    wave = np.sin(2 * np.pi * (2 + 2 * state)[:, None] * t + phase[:, None]) + 0.4 * rng.normal(size=(n, 48))
    return wave, state


def windows(signal):
    """One row a recording, scaled by the largest swing."""
    rows = []
    for recording in signal:
        rows.append(recording / np.abs(recording).max())
    return np.stack(rows)


signal, state = record(1200)
x = torch.tensor(windows(signal), dtype=torch.float32).unsqueeze(1)
y = torch.tensor(state)
loader = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=40, shuffle=True)

net = nn.Sequential(
    nn.Conv1d(1, 16, 7, padding=3),
    nn.ReLU(),
    nn.Conv1d(16, 16, 5, padding=2),
    nn.ReLU(),
    nn.AdaptiveMaxPool1d(1),
    nn.Flatten(),
    nn.Linear(16, STATES),
)
optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(12):
    net.train()
    losses = []
    for xb, yb in loader:
        loss = criterion(net(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        accuracy = (net(x[1000:]).argmax(1) == y[1000:]).float().mean().item()
    print(f"epoch {epoch:2d} loss {np.mean(losses):.3f} accuracy {accuracy:.3f}")
