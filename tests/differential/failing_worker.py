"""A data set that raises inside a worker."""

import torch
from torch.utils.data import DataLoader


class Broken(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            raise ValueError(f"sample {index} cannot be read")
        return torch.ones(2)


w = torch.zeros(2, requires_grad=True)
for x in DataLoader(Broken(), 2, num_workers=1):
    (x @ w - 1).pow(2).sum().backward()
    w.data -= 0.1 * w.grad
    w.grad = None
    print(w.tolist(), flush=True)
