"""Which part is ordered next, given the last: a few parts make up most orders, hundreds are rare."""

import numpy as np
import torch
from torch import nn, optim


def orders(n, parts, seed):
    rng = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, parts + 1)
    last = rng.choice(parts, size=n, p=weight / weight.sum())
    following = rng.permutation(parts)[last]
    stray = rng.random(n) < 0.05
    following[stray] = rng.integers(0, parts, stray.sum())
    return torch.from_numpy(last), torch.from_numpy(following)


def train(parts=400, steps=350, batch=200):
    torch.manual_seed(1)
    last, following = orders(40000, parts, seed=6)
    net = nn.Sequential(nn.Embedding(parts, 48), nn.Linear(48, 96), nn.Tanh(), nn.Linear(96, parts))
    optimiser = optim.AdamW(net.parameters(), lr=1e-2)
    loss_fn = nn.CrossEntropyLoss()
    for step in range(steps):
        rows = torch.randint(0, len(last), (batch,))
        loss = loss_fn(net(last[rows]), following[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 49:
            print(step + 1, round(loss.item(), 4))


if __name__ == "__main__":
    train()
