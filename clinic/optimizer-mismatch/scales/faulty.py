"""Tabular regression with a learned gain on each sensor, the gains starting decades apart."""
import torch
import torch.nn as nn


class GainedMLP(nn.Module):
    def __init__(self, sensors):
        super().__init__()
        self.gain = nn.Parameter(torch.logspace(-1.5, 1, sensors))
        self.fc1 = nn.Linear(sensors, 64)
        self.fc2 = nn.Linear(64, 1)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x * self.gain))).squeeze(-1)


torch.manual_seed(3)
x = torch.randn(1000, 10)
y = 2 * x[:, 0] + 2 * x[:, 1] + x[:, 2]
model = GainedMLP(10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)  # expect: optimizer-mismatch
for epoch in range(8):
    for i in range(0, 1000, 40):
        loss = nn.functional.mse_loss(model(x[i : i + 40]), y[i : i + 40])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
