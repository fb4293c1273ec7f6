"""Mixture density network for a one-to-many curve, scored by its log-density."""

import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

torch.manual_seed(1)


class MDN(nn.Module):
    def __init__(self, n_components=5, hidden=40):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.head = nn.Linear(hidden, 3 * n_components)

    def forward(self, x):
        weight, mean, log_scale = self.head(self.body(x)).chunk(3, dim=-1)
        return MixtureSameFamily(Categorical(logits=weight), Normal(mean, log_scale.exp() + 1e-3))


def inverse_curve(n):
    hidden = torch.rand(n, 1)
    seen = hidden + 0.3 * torch.sin(2 * torch.pi * hidden) + 0.02 * torch.randn(n, 1)
    return 2 * seen - 1, hidden


x, y = inverse_curve(2000)
x_test, y_test = inverse_curve(500)
net = MDN()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
annealing = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=24)

for epoch in range(1, 25):
    net.train()
    running = 0.0
    for idx in torch.randperm(2000).split(100):
        opt.zero_grad()
        loss = -net(x[idx]).log_prob(y[idx].squeeze(1)).mean()
        loss.backward()
        opt.step()
        running += loss.item() / 20
    annealing.step()
    if epoch % 4 == 0:
        net.eval()
        with torch.no_grad():
            held_out = -net(x_test).log_prob(y_test.squeeze(1)).mean().item()
        print("epoch", epoch, "train nll", round(running, 4), "test nll", round(held_out, 4))
