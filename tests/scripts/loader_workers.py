"""A DataLoader with two worker processes, random augmentation in the workers, persistent and not."""

import random

import numpy as np
import torch
from digest import show
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __len__(self):
        return 48

    def __getitem__(self, index):
        noise = random.random() + np.random.rand() + torch.rand(1).item()
        return torch.full((4,), float(index % 7)) + noise, index % 2


def main():
    random.seed(0)
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for persistent in (False, True):
        loader = DataLoader(Noisy(), batch_size=8, shuffle=True, num_workers=2, persistent_workers=persistent)
        for _ in range(2):
            for batch, label in loader:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(batch), label)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
    show(losses, model.parameters(), [optimizer])


if __name__ == "__main__":
    main()
