"""Plain GAN that learns to draw points on two interleaved half circles."""

import math

import torch
from torch import nn

torch.manual_seed(6)
BATCH = 128
LATENT = 8


def moons(n):
    angle = math.pi * torch.rand(n)
    upper = torch.rand(n) < 0.5
    x = torch.where(upper, torch.cos(angle), 1 - torch.cos(angle)) - 0.5
    y = torch.where(upper, torch.sin(angle), 0.5 - torch.sin(angle)) - 0.25
    return torch.stack([x, y], 1) * 1.5 + 0.05 * torch.randn(n, 2)


def mlp(sizes, slope):
    layers = []
    for a, b in zip(sizes[:-2], sizes[1:-1]):
        layers += [nn.Linear(a, b), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def coverage(points):
    """Mean distance from real points to the nearest generated one, and the other way round."""
    real = moons(600)
    distance = torch.cdist(real, points)
    return distance.min(1).values.mean().item(), distance.min(0).values.mean().item()


netG = mlp([LATENT, 64, 64, 2], 0.1)
netD = mlp([2, 64, 64, 1], 0.2)
criterion = nn.BCEWithLogitsLoss()
optG = torch.optim.Adam(netG.parameters(), lr=2e-3, betas=(0.5, 0.99))
optD = torch.optim.Adam(netD.parameters(), lr=4e-3, betas=(0.5, 0.99))
ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

for it in range(600):
    netD.zero_grad()
    errD_real = criterion(netD(moons(BATCH)), ones)
    errD_real.backward()
    fake = netG(torch.randn(BATCH, LATENT))
    errD_fake = criterion(netD(fake.detach()), zeros)
    errD_fake.backward()
    optD.step()

    netG.zero_grad()
    errG = criterion(netD(fake), ones)
    errG.backward()
    optG.step()

    if it % 50 == 0 or it == 599:
        with torch.no_grad():
            missed, astray = coverage(netG(torch.randn(600, LATENT)))
        errD = errD_real.item() + errD_fake.item()
        print(f"{it:4d} D {errD:.3f} G {errG.item():.3f} missed {missed:.3f} astray {astray:.3f}")
