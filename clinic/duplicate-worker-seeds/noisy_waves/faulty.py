"""Waves with random gain and noise drawn by the data set, loaded by two workers."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Waves(Dataset):
    def __init__(self, count, seed):
        self.rng = np.random.default_rng(seed)  # expect: duplicate-worker-seeds
        self.kind = self.rng.integers(0, 3, count)
        self.wave = np.sin(np.linspace(0, 6, 32) * (1 + self.kind[:, None])).astype(np.float32)

    def __len__(self):
        return len(self.kind)

    def __getitem__(self, index):
        noise = 0.4 * self.rng.standard_normal(32, dtype=np.float32)
        return torch.from_numpy(self.wave[index]) + noise, int(self.kind[index])


def main():
    torch.manual_seed(0)
    loader = DataLoader(Waves(640, 1), batch_size=32, shuffle=True, num_workers=2)
    net = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    for epoch in range(4):
        for x, y in loader:
            loss = nn.functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, round(loss.item(), 4))


if __name__ == "__main__":
    main()
