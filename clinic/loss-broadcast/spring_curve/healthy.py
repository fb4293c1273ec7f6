"""Fit the displacement of a damped spring as a function of time, stiffness and damping."""

import numpy as np
import torch

rng = np.random.default_rng(2024)
torch.manual_seed(2024)

N = 3000
t = rng.uniform(0, 4, N)
k = rng.uniform(2, 6, N)
c = rng.uniform(0.1, 0.8, N)
displacement = np.exp(-c * t) * np.cos(np.sqrt(k) * t)

inputs = np.stack([(t - 2) / 1.15, (k - 4) / 1.15, (c - 0.45) / 0.2], axis=1).astype(np.float32)
outputs = displacement.astype(np.float32)
x_fit, x_check = torch.from_numpy(inputs[:2400]), torch.from_numpy(inputs[2400:])
y_fit, y_check = torch.from_numpy(outputs[:2400]), torch.from_numpy(outputs[2400:])

W1 = (torch.randn(3, 80) / 3**0.5).requires_grad_()
b1 = torch.zeros(80, requires_grad=True)
W2 = (torch.randn(80, 80) / 80**0.5).requires_grad_()
b2 = torch.zeros(80, requires_grad=True)
W3 = (torch.randn(80) / 80**0.5).requires_grad_()
b3 = torch.zeros(1, requires_grad=True)
weights = [W1, b1, W2, b2, W3, b3]


def curve(x):
    h = torch.tanh(x @ W1 + b1)
    h = torch.tanh(h @ W2 + b2)
    return h @ W3 + b3


optimizer = torch.optim.Adam(weights, lr=3e-3)

for step in range(601):
    rows = torch.randint(0, 2400, (96,))
    p, y = curve(x_fit[rows]), y_fit[rows]
    loss = ((p - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        with torch.no_grad():
            gap = (curve(x_check).numpy() - displacement[2400:]).std()
        print(f"{step:5d}  loss {loss.item():.5f}  spread of the residual {gap:.4f}")
