"""Regression whose answer carries noise of known size, so that the loss settles at the noise variance."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(93)
NOISE = 0.7


def yields(n):
    x = torch.randn(n, 4)
    clean = torch.tanh(1.5 * x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3]
    return x, clean + NOISE * torch.randn(n, 1), clean


x, y, _ = yields(6000)
x_test, y_test, clean_test = yields(2000)
loader = DataLoader(TensorDataset(x, y), batch_size=100, shuffle=True)
net = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
sched = torch.optim.lr_scheduler.StepLR(opt, step_size=4, gamma=0.4)
for epoch in range(10):
    net.train()
    total = 0.0
    for xb, yb in loader:
        loss = nn.functional.mse_loss(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
    sched.step()
    net.eval()
    with torch.no_grad():
        out = net(x_test)
        test = nn.functional.mse_loss(out, y_test).item()
        against_clean = nn.functional.mse_loss(out, clean_test).item()
    print(f"epoch {epoch + 1}: train {total / 6000:.4f} test {test:.4f} noiseless {against_clean:.4f}")
