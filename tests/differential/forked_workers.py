"""Loader workers by fork: persistent, with a seed function of their own and an order of their own."""

import random

import numpy
import torch
from digest import show
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler, get_worker_info


class Noise(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        return torch.randn(3) + numpy.random.rand() + random.random(), index, get_worker_info().id


def begin(worker):
    numpy.random.seed(torch.initial_seed() % 2**32)


torch.manual_seed(0)
w = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.05)
sampler = WeightedRandomSampler(torch.rand(24), 16)
loader = DataLoader(Noise(), 4, sampler=sampler, num_workers=2, worker_init_fn=begin, persistent_workers=True)
losses = []
for _ in range(2):
    for x, index, worker in loader:
        optimizer.zero_grad()
        loss = (x @ w - 1).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(index.tolist(), worker.tolist())
show(losses, [w], [optimizer])
