"""A shared trunk learns to reconstruct first; its second head is trained afterwards on labels."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 16), nn.ReLU())
        self.restore = nn.Linear(16, 20)
        self.classify = nn.Linear(16, 3)

    def forward(self, x, phase):
        h = self.body(x)
        return self.restore(h) if phase == "restore" else self.classify(h)


torch.manual_seed(15)
label = torch.randint(0, 3, (1200,))
x = 0.8 * torch.randn(3, 20)[label] + 0.6 * torch.randn(1200, 20)
model = Trunk()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for phase, epochs in (("restore", 8), ("classify", 6)):
    for epoch in range(epochs):
        for rows in torch.randperm(1200).split(40):
            out = model(x[rows], phase)
            loss = F.mse_loss(out, x[rows]) if phase == "restore" else F.cross_entropy(out, label[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(phase, epoch, round(loss.item(), 4))
