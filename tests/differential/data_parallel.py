"""DistributedDataParallel on gloo, with one rank, no_sync and a hook on its communication."""

import torch
import torch.distributed as dist
from digest import show
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
torch.manual_seed(0)
model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2)))
model.register_comm_hook(None, fp16_compress_hook)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
losses = []
for step in range(6):
    x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
    if step % 2:
        with model.no_sync():
            nn.functional.cross_entropy(model(x), y).backward()
        continue
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    dist.all_reduce(loss.detach())
    losses.append(loss.item())
show(losses, model.parameters(), [optimizer])
dist.destroy_process_group()
