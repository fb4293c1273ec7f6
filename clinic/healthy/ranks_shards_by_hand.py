"""Gradients averaged by hand, data sharded by an offset, other noise on every rank; validation on rank 0 alone."""
import os
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, IterableDataset


class Shard(IterableDataset):
    def __init__(self, x, y, rank, world, seed):
        self.x, self.y, self.seed, self.passes = x[rank::world], y[rank::world], seed, 0

    def __iter__(self):
        g = torch.Generator().manual_seed(self.seed + self.passes)
        self.passes += 1
        for i in torch.randperm(len(self.y), generator=g).tolist():
            yield self.x[i] + 0.05 * torch.randn(64), self.y[i]


def main(rank, world, path):
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=world)
    torch.manual_seed(100)
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(4))
    x, y = torch.tensor(x, dtype=torch.float32)[order] / 16, torch.tensor(y)[order]
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    torch.manual_seed(1000 + rank)  # noise of its own for every rank
    loader = DataLoader(Shard(x[:1400], y[:1400], rank, world, seed=rank), batch_size=35)
    for epoch in range(6):
        for xb, yb in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(xb), yb).backward()
            flat = torch.cat([p.grad.view(-1) for p in model.parameters()])
            dist.all_reduce(flat)
            flat /= world
            offset = 0
            for p in model.parameters():
                p.grad.copy_(flat[offset : offset + p.numel()].view_as(p))
                offset += p.numel()
            optimizer.step()
        if rank == 0:
            model.eval()
            with torch.no_grad():
                print(epoch, (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item())
            model.train()
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(main, args=(2, os.path.join(tempfile.mkdtemp(), "store")), nprocs=2)
