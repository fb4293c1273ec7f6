"""A pool of forked workers evaluates a model while the parent trains."""

import multiprocessing as mp

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.1)


def prepare(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, 3, generator=generator).numpy()


if __name__ == "__main__":
    losses = []
    with mp.get_context("fork").Pool(2) as pool:
        for array in pool.map(prepare, range(6)):
            x = torch.from_numpy(array)
            optimizer.zero_grad()
            loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    show(losses, model.parameters(), [optimizer])
