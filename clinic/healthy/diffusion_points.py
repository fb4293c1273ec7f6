"""Denoising diffusion on two-dimensional points: the network guesses the noise that was added."""

import math

import torch
import torch.nn as nn

torch.manual_seed(62)
STEPS = 30
beta = torch.linspace(1e-3, 0.2, STEPS)
kept = torch.cumprod(1 - beta, 0)


def four_clumps(n):
    corner = torch.randint(0, 4, (n,))
    centre = torch.stack([2.0 * (corner % 2) - 1, 2.0 * (corner // 2) - 1], 1)
    return centre + 0.15 * torch.randn(n, 2)


class NoiseGuess(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.time = nn.Embedding(STEPS, width)
        self.enter = nn.Linear(2, width)
        self.mix = nn.Sequential(
            nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2)
        )

    def forward(self, x, t):
        return self.mix(self.enter(x) + self.time(t))


@torch.no_grad()
def draw(model, n):
    x = torch.randn(n, 2)
    for t in reversed(range(STEPS)):
        guess = model(x, torch.full((n,), t))
        x = (x - beta[t] / math.sqrt(1 - kept[t]) * guess) / math.sqrt(1 - beta[t])
        if t > 0:
            x = x + beta[t].sqrt() * torch.randn(n, 2)
    return x


def clump_share(points):
    """Share of points that fall within three deviations of a clump's centre."""
    nearest = points.sign()
    return ((points - nearest).norm(dim=1) < 0.45).float().mean().item()


model = NoiseGuess()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=700, eta_min=2e-4)
running = 0.0
for it in range(1, 701):
    clean = four_clumps(192)
    t = torch.randint(0, STEPS, (192,))
    noise = torch.randn_like(clean)
    level = kept[t][:, None]
    loss = nn.functional.mse_loss(model(level.sqrt() * clean + (1 - level).sqrt() * noise, t), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    running += loss.item() / 100
    if it % 100 == 0:
        model.eval()
        print(f"{it} noise mse {running:.4f} samples inside a clump {clump_share(draw(model, 500)):.3f}")
        model.train()
        running = 0.0
