"""Strength of concrete from its mixture, with batches drawn by hand."""

import numpy as np
import torch

torch.manual_seed(3)
rng = np.random.default_rng(3)
mixture = torch.tensor(rng.normal(size=(800, 8)), dtype=torch.float32)
strength = (mixture[:, 0] * 0.8 - mixture[:, 1] * mixture[:, 2] * 0.5 + mixture[:, 3].relu()).unsqueeze(1)
strength = (strength - strength[:600].mean()) / strength[:600].std()

regressor = torch.nn.Sequential(
    torch.nn.Linear(8, 50), torch.nn.ReLU(), torch.nn.Linear(50, 50), torch.nn.ReLU(), torch.nn.Linear(50, 1)
)
optimizer = torch.optim.Adam(regressor.parameters(), lr=2e-3)
for step in range(500):
    rows = rng.choice(600, size=40)
    prediction = regressor(mixture[rows])
    loss = torch.nn.functional.mse_loss(prediction, strength[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (step + 1) % 100 == 0:
        with torch.no_grad():
            held = torch.nn.functional.mse_loss(regressor(mixture[600:]), strength[600:])
        print(f"{step + 1:4d} train {loss.item():.4f} held out {held.item():.4f}")
