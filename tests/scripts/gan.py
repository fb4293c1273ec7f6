"""A GAN: two optimizers, a loss of two terms, a generator step whose gradients also reach the discriminator."""

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
real = torch.randn(256, 2) * 0.3 + 2
generator = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
by_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)
by_discriminator = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
ones, zeros = torch.ones(32, 1), torch.zeros(32, 1)
losses = []
for _ in range(25):
    fake = generator(torch.randn(32, 4))
    by_discriminator.zero_grad()
    on_real = F.binary_cross_entropy_with_logits(discriminator(real[torch.randperm(256)[:32]]), ones)
    on_fake = F.binary_cross_entropy_with_logits(discriminator(fake.detach()), zeros)
    (on_real + on_fake).backward()
    by_discriminator.step()
    by_generator.zero_grad()
    loss = F.binary_cross_entropy(torch.sigmoid(discriminator(fake)), ones)
    loss.backward()
    by_generator.step()
    losses += [on_real.item(), on_fake.item(), loss.item()]
show(losses, [*generator.parameters(), *discriminator.parameters()], [by_generator, by_discriminator])
