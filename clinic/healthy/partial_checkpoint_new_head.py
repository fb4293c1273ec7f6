"""Loads a body with strict=False under a new head, and only the encoder's part of an autoencoder's weights."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        return self.head(self.encoder(x))


class Auto(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 12))

    def forward(self, x):
        return self.decoder(self.encoder(x))


torch.manual_seed(1)
x = torch.randn(1000, 4) @ torch.randn(4, 12) / 2
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
auto = Auto()
optimizer = torch.optim.Adam(auto.parameters(), lr=3e-3)
for step in range(150):
    rows = torch.randint(0, 1000, (64,))
    loss = nn.functional.mse_loss(auto(x[rows]), x[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("autoencoder", loss.item())
net = Net(3)
body = {name: tensor for name, tensor in auto.state_dict().items() if name.startswith("encoder.")}
merged = net.state_dict()
merged.update({name: tensor.clone() for name, tensor in body.items()})
net.load_state_dict(merged)
print(net.load_state_dict(body, strict=False))
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for step in range(300):
    rows = torch.randint(0, 1000, (64,))
    loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("classifier", loss.item())
