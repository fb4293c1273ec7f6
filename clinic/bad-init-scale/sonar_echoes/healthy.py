"""Four kinds of sonar echo from their spectra, with weights set by hand at the start."""

import torch
import torch.nn as nn


class EchoNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(40, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 4))
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.net(x)


torch.manual_seed(2)
kind = torch.randint(0, 4, (1600,))
centre = torch.randn(4, 40)
x = 0.45 * centre[kind] + torch.randn(1600, 40)
model = EchoNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    total = 0.0
    for idx in torch.randperm(1300).split(52):
        optimizer.zero_grad()
        loss = criterion(model(x[idx]), kind[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() / 25
    model.eval()
    with torch.no_grad():
        acc = (model(x[1300:]).argmax(1) == kind[1300:]).float().mean()
    print(f"epoch {epoch} loss {total:.4f} acc {acc:.3f}")
