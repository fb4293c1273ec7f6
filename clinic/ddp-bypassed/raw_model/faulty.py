"""Character-level next-token model trained by two processes started with multiprocessing."""
import os
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn as nn
from torch.nn.parallel import DistributedDataParallel as DDP

TEXT = ("the quick brown fox jumps over the lazy dog and then the dog sleeps while the fox runs away . " * 12).strip()
CHARS = sorted(set(TEXT))
CONTEXT = 8


class CharModel(nn.Module):
    def __init__(self, vocabulary, width=32):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Sequential(nn.Linear(CONTEXT * width, 96), nn.ReLU(), nn.Linear(96, vocabulary))

    def forward(self, ids):
        return self.mix(self.embed(ids).flatten(1))


def windows(rank, world):
    ids = torch.tensor([CHARS.index(c) for c in TEXT])
    x = torch.stack([ids[i : i + CONTEXT] for i in range(len(ids) - CONTEXT)])
    y = ids[CONTEXT:]
    return x[rank::world], y[rank::world]


def fit(rank, world, store):
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=world)
    torch.manual_seed(5)
    x, y = windows(rank, world)
    model = CharModel(len(CHARS))
    parallel = DDP(model)
    optimizer = torch.optim.Adam(parallel.parameters(), lr=2e-3)
    for step in range(200):
        pick = torch.randint(0, len(x), (48,))
        loss = nn.functional.cross_entropy(model(x[pick]), y[pick])  # expect: ddp-bypassed
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if rank == 0 and step % 40 == 39:
            print(step + 1, round(loss.item(), 4))
    dist.destroy_process_group()


def main():
    store = os.path.join(tempfile.mkdtemp(), "store")
    processes = [mp.get_context("spawn").Process(target=fit, args=(rank, 2, store)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
