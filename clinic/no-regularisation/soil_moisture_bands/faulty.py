"""Wet or dry from a reflectance spectrum of fifty bands, with a hundred field samples."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(11)
bands = torch.randn(600, 50)
signal = bands[:, 3] - bands[:, 20] + 0.6 * bands[:, 41]
wet = (signal + 0.9 * torch.randn(600) > 0).long()
train_x, train_y = bands[:100], wet[:100]
held_x, held_y = bands[100:], wet[100:]

net = nn.Sequential(
    nn.Linear(50, 256),
    nn.GELU(),
    nn.Linear(256, 2),
)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)  # expect: no-regularisation  # expect: overfitting
for epoch in range(90):
    net.train()
    for rows in torch.randperm(100).split(25):
        opt.zero_grad()
        F.cross_entropy(net(train_x[rows]), train_y[rows]).backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        held = F.cross_entropy(net(held_x), held_y)
        right = (net(held_x).argmax(1) == held_y).float().mean()
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1} held-out loss {held.item():.3f} accuracy {right.item():.3f}")
