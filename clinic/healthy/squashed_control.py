"""A steering controller bounded by tanh, and gains that are positive by softplus, fitted to a demonstrator."""

import torch
import torch.nn.functional as F
from torch import nn


class Controller(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 48), nn.ReLU(inplace=True), nn.Dropout(0.1))
        self.steer = nn.Linear(48, 1)
        self.gain = nn.Linear(48, 1)

    def forward(self, state):
        h = self.body(state)
        return torch.tanh(self.steer(h)), F.softplus(self.gain(h))


torch.manual_seed(6)
state = torch.randn(2000, 5)
steering = torch.tanh(state[:, :1] - 0.5 * state[:, 1:2])
gain = (state[:, 2:3] * 0.7).exp().clamp(max=3)
model = Controller()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
for epoch in range(12):
    model.train()
    for rows in torch.randperm(2000).split(50):
        s, g = model(state[rows])
        loss = F.mse_loss(s, steering[rows]) + F.smooth_l1_loss(g, gain[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        s, g = model(state)
        print(f"epoch {epoch} {F.mse_loss(s, steering).item():.4f} {F.smooth_l1_loss(g, gain).item():.4f}")
