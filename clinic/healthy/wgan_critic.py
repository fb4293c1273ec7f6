"""Wasserstein GAN with a gradient penalty that learns a correlated three-dimensional Gaussian."""

import torch
import torch.nn as nn


class Generator(nn.Module):
    def __init__(self, noise=3, dim=3):
        super().__init__()
        self.noise = noise
        self.map = nn.Sequential(nn.Linear(noise, 32), nn.LeakyReLU(0.2), nn.Linear(32, dim))

    def sample(self, n):
        return self.map(torch.randn(n, self.noise))


class Critic(nn.Module):
    def __init__(self, dim=3):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1))

    def forward(self, x):
        return self.score(x).squeeze(-1)


def real_batch(n):
    mix = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.5, 0.3, 0.8]])
    return torch.randn(n, 3) @ mix.T + torch.tensor([1.0, -1.0, 0.5])


def gradient_penalty(critic, real, fake):
    share = torch.rand(len(real), 1)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.norm(dim=1) - 1).pow(2).mean()


def main(rounds=160, n_critic=5, weight=1.0, batch=64):
    torch.manual_seed(14)
    generator, critic = Generator(), Critic()
    critic_opt = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
    generator_opt = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.9))
    schedules = [
        torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.3, total_iters=rounds) for o in (critic_opt, generator_opt)
    ]
    reference = real_batch(4000)

    for r in range(rounds):
        for _ in range(n_critic):
            real = real_batch(batch)
            with torch.no_grad():
                fake = generator.sample(batch)
            critic_loss = critic(fake).mean() - critic(real).mean() + weight * gradient_penalty(critic, real, fake)
            critic_opt.zero_grad()
            critic_loss.backward()
            critic_opt.step()

        generator_opt.zero_grad()
        generator_loss = -critic(generator.sample(batch)).mean()
        generator_loss.backward()
        generator_opt.step()
        for schedule in schedules:
            schedule.step()

        if r % 20 == 0 or r == rounds - 1:
            with torch.no_grad():
                drawn = generator.sample(4000)
            mean_gap = (drawn.mean(0) - reference.mean(0)).norm().item()
            cov_gap = (torch.cov(drawn.T) - torch.cov(reference.T)).norm().item()
            print(f"round {r}: critic {critic_loss.item():.4f} mean gap {mean_gap:.3f} covariance gap {cov_gap:.3f}")


if __name__ == "__main__":
    main()
