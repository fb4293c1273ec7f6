"""Forecast the deviation of the tide from its table, in standard units of either sign."""

import torch
from torch import nn

torch.manual_seed(17)


class TideNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)


x = torch.randn(2200, 10)
y = torch.sin(x[:, 0] * 2) + 0.8 * x[:, 1] * x[:, 2] - 0.3 * x[:, 3]
y = (y - y.mean()) / y.std()
model = TideNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.MSELoss()
for epoch in range(15):
    order = torch.randperm(2000)
    for i in range(0, 2000, 50):
        rows = order[i : i + 50]
        loss = loss_fn(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print(epoch, f"{loss_fn(model(x[2000:]), y[2000:]).item():.4f}")
