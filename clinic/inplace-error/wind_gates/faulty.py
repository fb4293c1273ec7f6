"""Wind power from ten readings with a gated hidden layer."""

import torch
import torch.nn as nn


class GatedNet(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.value = nn.Linear(10, width)
        self.gate = nn.Linear(10, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        hidden = torch.relu(self.value(x)) * gate
        gate += 0.1  # expect: inplace-error
        return self.out(hidden * gate).squeeze(1)


torch.manual_seed(5)
x = torch.randn(1500, 10)
y = torch.relu(x[:, 0] + x[:, 1]) - 0.6 * x[:, 2] * x[:, 3]
y = (y - y.mean()) / y.std()
model = GatedNet()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(10):
    total = 0.0
    for idx in torch.randperm(1500).split(50):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() / 30
    print(f"epoch {epoch} loss {total:.4f}")
