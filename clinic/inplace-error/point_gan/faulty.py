"""A small adversarial pair that learns to draw points on a line."""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(7)
generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
g_opt = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
d_opt = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)

for step in range(300):
    t = torch.rand(64, 1) * 2 - 1
    real = torch.cat([t, 0.5 * t], dim=1) + 0.02 * torch.randn(64, 2)
    fake = generator(torch.randn(64, 4))
    score = critic(fake)
    d_loss = F.binary_cross_entropy_with_logits(critic(real), ones)
    d_loss = d_loss + F.binary_cross_entropy_with_logits(critic(fake.detach()), zeros)
    g_loss = F.binary_cross_entropy_with_logits(score, ones)

    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()  # expect: inplace-error

    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    if step % 60 == 0:
        print(f"step {step} d {d_loss.item():.3f} g {g_loss.item():.3f}")
