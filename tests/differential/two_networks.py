"""A GAN with a gradient penalty: double backward, two optimizers, one frozen at a time."""

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
maker = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 1))
for_maker = torch.optim.Adam(maker.parameters(), 1e-3, betas=(0.5, 0.9))
for_critic = torch.optim.Adam(critic.parameters(), 1e-3, betas=(0.5, 0.9))
losses = []
for step in range(15):
    real = torch.randn(16, 2) + 3
    fake = maker(torch.randn(16, 2))
    mixed = torch.lerp(real, fake.detach(), torch.rand(16, 1)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    loss = critic(fake.detach()).mean() - critic(real).mean() + 10 * (slope.norm(dim=1) - 1).pow(2).mean()
    for_critic.zero_grad()
    loss.backward()
    for_critic.step()
    losses.append(loss.item())
    if step % 3 == 2:
        critic.requires_grad_(False)
        for_maker.zero_grad()
        loss = -critic(fake).mean()
        loss.backward()
        for_maker.step()
        critic.requires_grad_(True)
        losses.append(loss.item())
show(losses, [*maker.parameters(), *critic.parameters()], [for_maker, for_critic])
