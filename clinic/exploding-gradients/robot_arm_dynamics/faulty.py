"""Inverse dynamics of a two-joint robot arm: joint angles, speeds and accelerations to torques."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def simulate(n, rng):
    q1, q2 = rng.uniform(-np.pi, np.pi, (2, n))
    dq1, dq2 = rng.normal(0, 1.5, (2, n))
    ddq1, ddq2 = rng.normal(0, 3.0, (2, n))
    m1, m2, l1, l2, g = 1.5, 1.0, 0.6, 0.5, 9.81
    c2, s2 = np.cos(q2), np.sin(q2)
    h11 = (m1 + m2) * l1**2 + m2 * l2**2 + 2 * m2 * l1 * l2 * c2
    h12 = m2 * l2**2 + m2 * l1 * l2 * c2
    coriolis = m2 * l1 * l2 * s2
    tau1 = h11 * ddq1 + h12 * ddq2 - coriolis * (2 * dq1 * dq2 + dq2**2)
    tau1 += (m1 + m2) * g * l1 * np.cos(q1) + m2 * g * l2 * np.cos(q1 + q2)
    tau2 = h12 * ddq1 + m2 * l2**2 * ddq2 + coriolis * dq1**2 + m2 * g * l2 * np.cos(q1 + q2)
    inputs = np.stack([np.sin(q1), np.cos(q1), np.sin(q2), c2, dq1, dq2, ddq1, ddq2], axis=1)
    return inputs.astype("float32"), np.stack([tau1, tau2], axis=1).astype("float32")


class DynamicsNet(nn.Module):
    def __init__(self, n_in, n_out, width=64, n_hidden=6):
        super().__init__()
        sizes = [n_in] + [width] * n_hidden
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:]))
        self.out = nn.Linear(width, n_out)
        self.reset_parameters()

    def reset_parameters(self):
        for layer in self.hidden:
            nn.init.normal_(layer.weight)  # expect: exploding-gradients
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


rng = np.random.default_rng(7)
torch.manual_seed(7)
x_train, tau_train = simulate(4000, rng)
x_test, tau_test = simulate(800, rng)
xm, xs, tm, ts = x_train.mean(0), x_train.std(0), tau_train.mean(0), tau_train.std(0)
x_train, x_test = torch.tensor((x_train - xm) / xs), torch.tensor((x_test - xm) / xs)
tau_train, tau_test = torch.tensor((tau_train - tm) / ts), torch.tensor((tau_test - tm) / ts)

loader = DataLoader(TensorDataset(x_train, tau_train), batch_size=100, shuffle=True)
model = DynamicsNet(8, 2)
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(10):
    model.train()
    epoch_loss = 0.0
    for x, tau in loader:
        prediction = model(x)
        loss = criterion(prediction, tau)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() / len(loader)
    model.eval()
    with torch.no_grad():
        test_loss = criterion(model(x_test), tau_test).item()
    print(f"Epoch {epoch + 1}/10 - train mse: {epoch_loss:.4g} - test mse: {test_loss:.4g}")
