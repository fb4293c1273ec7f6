"""Representations of noisy views by predicting one view's code from the other's."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Encoder(nn.Module):
    def __init__(self, inputs=20, dim=16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, dim))

    def forward(self, x):
        return self.net(x)


def views(n):
    topic = torch.randint(0, 6, (n,))
    centre = torch.eye(6)[topic] @ PATTERNS
    return centre + 0.4 * torch.randn(n, 20), centre + 0.4 * torch.randn(n, 20), topic


torch.manual_seed(83)
PATTERNS = torch.randn(6, 20)
online = Encoder()
predictor = nn.Linear(16, 16)
optimizer = torch.optim.Adam([*online.parameters(), *predictor.parameters()], lr=3e-3)
for step in range(250):
    one, other, topic = views(96)
    code = online(other).detach()
    loss = F.mse_loss(predictor(online(one)), code)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        online.eval()
        with torch.no_grad():
            spread = online(views(200)[0]).std(0).mean().item()
        online.train()
        print(f"step {step + 1} loss {loss.item():.4f} spread of the codes {spread:.3f}")
