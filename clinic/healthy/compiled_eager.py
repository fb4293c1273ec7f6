"""Damped-spring regression with a network wrapped by torch.compile and its eager backend."""

import torch
import torch.nn as nn

torch.manual_seed(95)


class Spring(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 50)
        self.fc2 = nn.Linear(50, 50)
        self.fc3 = nn.Linear(50, 1)

    def forward(self, x):
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def simulate(n):
    t, damping, stiffness = (2 * torch.rand(n, 3) - 1).unbind(1)
    swing = torch.exp(-0.5 * (damping + 1)) * torch.cos((3 + stiffness) * t)
    return torch.stack([t, damping, stiffness], 1), swing[:, None] / 0.5


x, y = simulate(2000)
x_val, y_val = simulate(400)
model = Spring()
compiled = torch.compile(model, backend="eager")
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(12):
    mean = 0.0
    for rows in torch.randperm(2000).split(50):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(compiled(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        mean += loss.item() / 40
    if epoch % 2 == 1:
        with torch.no_grad():
            val = nn.functional.mse_loss(model(x_val), y_val).item()
        print(f"epoch {epoch + 1}: train {mean:.5f} val {val:.5f}")
