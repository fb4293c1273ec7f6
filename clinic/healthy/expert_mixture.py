"""A mixture of four small experts with a hard choice of one for each batch region."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Mixture(nn.Module):
    def __init__(self, width=24, experts=4):
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1)) for _ in range(experts)
        )

    def forward(self, x, region):
        return self.experts[region](x).squeeze(1)


torch.manual_seed(4)
x = torch.rand(2000, 3) * 2 - 1
region = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
y = torch.sin(3 * x[:, 2] + region) * (1 + region.float() / 4)
model = Mixture()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(600):
    chosen = int(torch.randint(0, 4, (1,)))
    rows = torch.nonzero(region == chosen).squeeze(1)
    rows = rows[torch.randint(0, len(rows), (32,))]
    loss = F.mse_loss(model(x[rows], chosen), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(step + 1, round(loss.item(), 4))
