"""Output of a wind turbine from weather readings."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(33)
weather = torch.randn(1600, 7)
power = torch.tanh(weather[:, 0]) + 0.4 * weather[:, 1] * weather[:, 2] + 0.05 * torch.randn(1600)
loader = DataLoader(TensorDataset(weather[:1300], power[:1300]), batch_size=100, shuffle=True)


class Turbine(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(7, 50)
        self.b = nn.Linear(50, 50)
        self.c = nn.Linear(50, 1)

    def forward(self, x):
        return self.c(torch.relu(self.b(torch.relu(self.a(x)))))[:, 0]


model = Turbine()
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(15):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        error = (model(weather[1300:]) - power[1300:]).square().mean().item()
    print(f"epoch {epoch:2d} train {total / len(loader):.4f} test {error:.4f}")
