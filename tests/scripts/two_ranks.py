"""Two ranks under DistributedDataParallel, of which one may fall: `raise`, `kill`, or neither."""

import os
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(rank)
inputs = torch.randn(256, 6)
targets = inputs[:, :1] - 0.5 * inputs[:, 1:2]
model = DistributedDataParallel(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(30):
    part = slice(step % 8 * 32, step % 8 * 32 + 32)
    loss = nn.functional.mse_loss(model(inputs[part]), targets[part])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if rank == 1 and step == 15 and "raise" in sys.argv:
        raise ValueError("a bad sample")
    if rank == 1 and step == 15 and "kill" in sys.argv:
        os.kill(os.getpid(), 9)
total = sum(p.double().sum().item() for p in model.parameters())
sys.stdout.write(f"rank {rank} of {dist.get_world_size()} ends with {total:.12f}\n")  # at once: ranks write together
dist.destroy_process_group()
