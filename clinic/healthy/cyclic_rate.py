"""Concrete-strength-like regression with a triangular learning-rate cycle."""

import torch
from torch import nn

torch.manual_seed(90)


def strength(mix):
    cement, water, age, ash = mix[:, 0], mix[:, 1], mix[:, 2], mix[:, 3]
    return 0.8 * cement - 0.6 * water + torch.tanh(2 * age) + 0.4 * cement * ash


mix = torch.randn(1600, 5)
measured = strength(mix) + 0.1 * torch.randn(1600)
scale = measured[:1200].std()
offset = measured[:1200].mean()
target = (measured - offset) / scale

regressor = nn.Sequential(nn.Linear(5, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 1))
opt = torch.optim.SGD(regressor.parameters(), lr=0.005, momentum=0.9)
cycle = torch.optim.lr_scheduler.CyclicLR(opt, base_lr=0.005, max_lr=0.05, step_size_up=60, mode="triangular2")
huber = nn.HuberLoss(delta=1.0)

step = 0
for epoch in range(20):
    regressor.train()
    for rows in torch.randperm(1200).split(40):
        loss = huber(regressor(mix[rows]).flatten(), target[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        cycle.step()
        step += 1
        if step % 60 == 0:
            regressor.eval()
            with torch.no_grad():
                error = (regressor(mix[1200:]).flatten() - target[1200:]).pow(2).mean().item()
            regressor.train()
            print(
                f"step {step} lr {cycle.get_last_lr()[0]:.4f} batch loss {loss.item():.4f} validation mse {error:.4f}"
            )
