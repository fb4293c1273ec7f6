"""Fit a calibration surface with hand-written polynomial features."""

import torch
from torch import nn


class Poly(nn.Module):
    def __init__(self, degree):
        super().__init__()
        self.degree = degree
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(2, 1) * 0.3) for _ in range(degree)])

    def forward(self, x):
        return sum((x**power) @ weight for power, weight in enumerate(self.weights, 1))


torch.manual_seed(0)
x = torch.rand(600, 2) * 2 - 1
y = 1.5 * x[:, :1] - x[:, 1:] ** 2 + 0.8 * x[:, :1] ** 3 + 0.02 * torch.randn(600, 1)
y = y - y.mean()
model = Poly(3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
for step in range(400):
    batch = torch.randint(0, 600, (64,))
    loss = nn.functional.mse_loss(model(x[batch]), y[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 0:
        print(step, round(loss.item(), 4))
