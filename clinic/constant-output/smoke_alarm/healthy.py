"""Is there smoke? A binary classifier on gas sensor readings."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class AlarmNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(9, 32)
        self.b = nn.Linear(32, 1)

    def forward(self, x):
        return torch.sigmoid(self.b(F.relu(self.a(x))))


torch.manual_seed(23)
x = torch.randn(1600, 9)
smoke = ((x[:, 0] + x[:, 1] * x[:, 2] + 0.3 * torch.randn(1600)) > 0.2).float().unsqueeze(1)
net = AlarmNet()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(12):
    running = 0.0
    for idx in torch.randperm(1400).split(35):
        p = net(x[idx])
        loss = F.binary_cross_entropy(p, smoke[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        running += loss.item()
    with torch.no_grad():
        acc = ((net(x[1400:]) > 0.5) == (smoke[1400:] > 0.5)).float().mean()
    print(f"epoch {epoch} loss {running / 40:.4f} acc {acc:.3f}")
