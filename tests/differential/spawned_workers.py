"""A loader worker by spawn, of an iterable data set."""

import torch
from digest import show
from torch.utils.data import DataLoader, IterableDataset


class Stream(IterableDataset):
    def __iter__(self):
        for index in range(12):
            yield torch.full((2,), float(index)), index % 2


if __name__ == "__main__":
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    losses = []
    for x, y in DataLoader(Stream(), 3, num_workers=1, multiprocessing_context="spawn"):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    show(losses, model.parameters(), [optimizer])
