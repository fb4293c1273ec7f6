import torch
from torch import nn
import torch.nn.functional as F


class PatchMixer(nn.Module):
    """Sensors x time -> one embedding a time step -> class."""

    def __init__(self, sensors, steps, width, classes):
        super().__init__()
        self.sensors, self.steps = sensors, steps
        self.embed = nn.Linear(sensors, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        b = x.shape[0]
        h = torch.tanh(self.embed(x))
        h = h.transpose(0, 1)
        h = torch.relu(self.mix(h)).mean(0)
        return self.head(h)


torch.manual_seed(0)
n, steps, sensors = 600, 10, 4
y = torch.randint(0, 3, (n,))
x = torch.randn(n, steps, sensors) * 0.7
x[torch.arange(n), :, y] += 1.0
model = PatchMixer(sensors, steps, 32, 3)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(10):
    for chunk in torch.randperm(n).split(50):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[chunk]), y[chunk])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
