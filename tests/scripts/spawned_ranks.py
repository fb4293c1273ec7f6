"""Two ranks that the script starts itself, by spawn or by fork, with a loader worker and a pool beside them."""

import multiprocessing.pool
import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def work(rank, store):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(80, 4, generator=torch.Generator().manual_seed(rank)))
    model = nn.parallel.DistributedDataParallel(nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        for (x,) in DataLoader(data, 20, num_workers=1):
            loss = nn.functional.mse_loss(model(x).squeeze(1), x.sum(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if rank == 0:
        print(f"{loss.item():.9f}")
    if rank == 1 and "raise" in sys.argv:
        raise ValueError("a bad sample")
    dist.destroy_process_group()


if __name__ == "__main__":
    path = os.path.join(tempfile.mkdtemp(), "store")
    with multiprocessing.pool.Pool(1) as pool:
        pool.map(abs, [-1, 2])
    mp.start_processes(work, args=(path,), nprocs=2, start_method=sys.argv[1])
