"""Physics-informed network for a damped oscillator: the equation's residual is the loss, no data at all."""

import math

import torch
import torch.nn as nn

torch.manual_seed(71)
DAMPING, STIFFNESS, X0, V0 = 0.3, 4.0, 1.0, 0.0


def exact(t):
    omega = math.sqrt(STIFFNESS - DAMPING**2)
    return torch.exp(-DAMPING * t) * (X0 * torch.cos(omega * t) + (V0 + DAMPING * X0) / omega * torch.sin(omega * t))


net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))


def displacement(t):
    """Meets both starting conditions whatever the network says."""
    return X0 + V0 * t + t**2 * net(t)


def residual(t):
    x = displacement(t)
    (v,) = torch.autograd.grad(x.sum(), t, create_graph=True)
    (a,) = torch.autograd.grad(v.sum(), t, create_graph=True)
    return a + 2 * DAMPING * v + STIFFNESS * x


optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9975)
check = torch.linspace(0, 2, 100)[:, None]
for it in range(801):
    t = (2 * torch.rand(64, 1)).requires_grad_()
    loss = residual(t).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    decay.step()
    if it % 100 == 0:
        with torch.no_grad():
            error = (displacement(check) - exact(check)).abs().max().item()
        print(f"{it:4d} residual {loss.item():.5f} largest error {error:.4f}")
