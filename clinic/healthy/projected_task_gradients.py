"""Two tasks whose gradients are taken apart, projected where they conflict, and put together again."""

import torch
from torch import nn

torch.manual_seed(2)
x = torch.randn(1200, 8)
first = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2]
second = x[:, 2:3] * x[:, 3:4] - 0.4 * x[:, 1:2]
trunk = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
heads = nn.ModuleList([nn.Linear(64, 1), nn.Linear(64, 1)])
params = [*trunk.parameters(), *heads.parameters()]
optimizer = torch.optim.Adam(params, lr=3e-3)


def flat_gradient():
    return torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten().clone() for p in params])


for step in range(300):
    index = torch.randint(0, 1200, (64,))
    collected = []
    for head, target in zip(heads, (first, second)):
        optimizer.zero_grad()
        nn.functional.mse_loss(head(trunk(x[index])), target[index]).backward()
        collected.append(flat_gradient())
    a, b = collected
    if torch.dot(a, b) < 0:
        a, b = a - torch.dot(a, b) / b.dot(b) * b, b - torch.dot(a, b) / a.dot(a) * a
    joint, offset = a + b, 0
    for p in params:
        p.grad = joint[offset : offset + p.numel()].view_as(p)
        offset += p.numel()
    optimizer.step()
    if step % 50 == 49:
        with torch.no_grad():
            errors = [nn.functional.mse_loss(h(trunk(x)), t).item() for h, t in zip(heads, (first, second))]
        print(step + 1, [round(e, 4) for e in errors])
