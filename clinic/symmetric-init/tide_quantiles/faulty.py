"""Predict the 10, 50 and 90 per cent quantiles of a water level from wind, pressure and moon phase."""

import math

import torch
from torch import nn

QUANTILES = torch.tensor([0.1, 0.5, 0.9])


def pinball(pred, level):
    gap = level - pred
    return torch.maximum(QUANTILES * gap, (QUANTILES - 1) * gap).mean()


def observations(n):
    moon = 2 * math.pi * torch.rand(n)
    hour = 2 * math.pi * torch.rand(n)
    wind = 1.5 * torch.randn(n)
    direction = 2 * math.pi * torch.rand(n)
    pressure = torch.randn(n)
    level = torch.cos(moon) * torch.sin(hour) + 0.4 * wind * torch.sin(direction) - 0.3 * pressure
    level = level + (0.1 + 0.1 * wind.abs()) * torch.randn(n)
    inputs = [moon.sin(), moon.cos(), hour.sin(), hour.cos(), wind, direction.sin(), direction.cos(), pressure]
    return torch.stack(inputs, dim=1), level.unsqueeze(1)


class QuantileNet(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.lin1 = nn.Linear(inputs, hidden)
        self.lin2 = nn.Linear(hidden, hidden)
        self.lin3 = nn.Linear(hidden, outputs)
        self.act = nn.Softplus()
        for lin in (self.lin1, self.lin2, self.lin3):
            nn.init.constant_(lin.weight, 0.05)  # expect: symmetric-init
            nn.init.zeros_(lin.bias)

    def forward(self, x):
        return self.lin3(self.act(self.lin2(self.act(self.lin1(x)))))


torch.manual_seed(90)
x, level = observations(4500)
x_train, x_test = x[:4000], x[4000:]
x_mean, x_std = x_train.mean(0), x_train.std(0)
x_train, x_test = (x_train - x_mean) / x_std, (x_test - x_mean) / x_std
y_mean, y_std = level[:4000].mean(), level[:4000].std()
y_train, y_test = (level[:4000] - y_mean) / y_std, (level[4000:] - y_mean) / y_std

net = QuantileNet(8, 48, 3)
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
lr_schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.3)

for epoch in range(16):
    net.train()
    batch_losses = []
    for rows in torch.randperm(len(x_train)).chunk(40):
        loss = pinball(net(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        batch_losses.append(loss.item())
    lr_schedule.step()
    if epoch % 3 == 0:
        net.eval()
        with torch.no_grad():
            bands = net(x_test)
            inside = ((y_test >= bands[:, :1]) & (y_test <= bands[:, 2:])).float().mean().item()
            score = pinball(bands, y_test).item()
        print(f"epoch {epoch}: pinball {sum(batch_losses) / 40:.4f}, test {score:.4f}, inside the band {inside:.2f}")
