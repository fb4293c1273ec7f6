"""Sequence regression with a GRU: two spawned workers, each with its part of the windows."""
import socket
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler


@dataclass
class Config:
    epochs: int = 5
    batch_size: int = 25
    lr: float = 5e-3
    workers: int = 2


class Waves(Dataset):
    def __init__(self, count=1000, length=20):
        g = torch.Generator().manual_seed(3)
        phase = torch.rand(count, 1, generator=g) * 6.28
        freq = 0.2 + 0.6 * torch.rand(count, 1, generator=g)
        t = torch.arange(length + 1, dtype=torch.float32)
        signal = torch.sin(freq * t + phase) + 0.05 * torch.randn(count, length + 1, generator=g)
        self.x, self.y = signal[:, :-1, None], signal[:, -1]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        states, _ = self.gru(x)
        return self.head(states[:, -1]).squeeze(-1)


def train_one_epoch(model, loader, optimizer):
    total = 0.0
    for x, y in loader:  # expect: ranks-share-data
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


def run(rank, cfg, port):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=cfg.workers)
    torch.manual_seed(0)
    dataset = Waves()
    sampler = DistributedSampler(dataset, shuffle=True)
    loader = DataLoader(dataset, cfg.batch_size, sampler=sampler)
    model = DistributedDataParallel(Forecaster())
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    for epoch in range(cfg.epochs):
        loss = train_one_epoch(model, loader, optimizer)
        if rank == 0:
            print(f"epoch {epoch}: {loss:.5f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(run, args=(Config(), port), nprocs=Config.workers)
