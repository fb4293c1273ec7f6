"""Clips after each micro-batch with a limit that is rarely reached, and clips values as well."""

import torch
from torch import nn

torch.manual_seed(6)
x = torch.rand(1024, 5) * 2 - 1
y = torch.stack([x[:, 0] * x[:, 1], torch.sin(3 * x[:, 2])], 1)
model = nn.Sequential(nn.Linear(5, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(30):
    for n, index in enumerate(torch.randperm(1024).split(32)):
        loss = nn.functional.smooth_l1_loss(model(x[index]), y[index]) / 2
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1000.0)
        torch.nn.utils.clip_grad_value_(model.parameters(), 10.0)
        if n % 2 == 1:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    if epoch % 5 == 4:
        print(epoch + 1, round(2 * loss.item(), 5))
