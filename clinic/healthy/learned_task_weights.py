"""Two regression tasks weighed by learnt log-variances, so that the total loss turns negative as both improve."""

import torch
import torch.nn as nn

torch.manual_seed(79)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.depth, self.slope = nn.Linear(48, 1), nn.Linear(48, 1)
        self.log_var = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        h = self.trunk(x)
        return torch.cat([self.depth(h), self.slope(h)], 1)


def survey(n):
    x = torch.randn(n, 5)
    depth = torch.sin(x[:, 0]) + 0.5 * x[:, 1]
    slope = torch.cos(x[:, 2]) * x[:, 3]
    clean = torch.stack([depth, slope], 1)
    return x, clean + torch.tensor([0.05, 0.15]) * torch.randn(n, 2)


x, y = survey(2000)
x_val, y_val = survey(500)
model = Shared()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
for epoch in range(20):
    model.train()
    total = 0.0
    for rows in torch.randperm(2000).split(50):
        error = (model(x[rows]) - y[rows]).square().mean(0)
        loss = (torch.exp(-model.log_var) * error + model.log_var).sum() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 40
    scheduler.step()
    model.eval()
    with torch.no_grad():
        val = (model(x_val) - y_val).square().mean(0)
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1} total {total:.4f} val depth {val[0]:.4f} val slope {val[1]:.4f}")
