"""Two ranks whose parameters are sharded by fully_shard: every value that is read would be a collective."""

import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
fully_shard(model[0])
fully_shard(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
generator = torch.Generator().manual_seed(rank)
for _ in range(40):
    inputs = torch.randn(32, 6, generator=generator)
    loss = nn.functional.mse_loss(model(inputs), inputs[:, :1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
sys.stdout.write(f"rank {rank}: {loss.item():.9f}\n")  # at once: print writes the line and its end apart
dist.destroy_process_group()
