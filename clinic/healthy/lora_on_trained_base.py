"""Train a base network, freeze it, and adapt it to a shifted task through low-rank factors."""

import torch
from torch import nn


class LowRank(nn.Module):
    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def fit(model, x, y, steps, lr):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr)
    for step in range(steps):
        rows = torch.randint(0, len(x), (64,))
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


torch.manual_seed(12)
x = torch.randn(2000, 8)
first = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3]
second = first + 0.8 * torch.relu(x[:, 3:4]) - 0.3
model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
print("base", fit(model, x, first, 500, 3e-3))
for parameter in model.parameters():
    parameter.requires_grad_(False)
for index in (0, 2, 4):
    model[index] = LowRank(model[index], 4)
print("adapted", fit(model, x, second, 500, 5e-3))
