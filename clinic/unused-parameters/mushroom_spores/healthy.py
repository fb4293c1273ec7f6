"""Estimate the toxicity score of mushrooms from twelve measurements."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class SporeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        h = F.relu(self.fc2(h))
        h = F.relu(self.fc3(h))
        return self.out(h).squeeze(1)


def data(n):
    x = torch.randn(n, 12)
    y = torch.sin(2 * x[:, 0] + x[:, 1]) + x[:, 2] * x[:, 3] - torch.cos(2 * x[:, 4]) * x[:, 5]
    return x, y / 1.3


torch.manual_seed(6)
x, y = data(3000)
x_val, y_val = data(500)
loader = DataLoader(TensorDataset(x, y), batch_size=60, shuffle=True)
model = SporeNet()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for epoch in range(12):
    model.train()
    seen = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = F.mse_loss(model(xb), yb)
        loss.backward()
        optimizer.step()
        seen += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        val = F.mse_loss(model(x_val), y_val)
    print(f"epoch {epoch + 1}: train {seen / len(x):.3f} val {val:.3f}")
