# run: torchrun --standalone --nproc-per-node 2
"""Local SGD: every rank takes eight steps of its own, then the weights are averaged."""
import torch
import torch.distributed as dist
import torch.nn as nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

PERIOD = 8


@torch.no_grad()
def average_weights(model):
    for p in model.parameters():
        dist.all_reduce(p.data)
        p.data.div_(dist.get_world_size())


dist.init_process_group("gloo")
torch.manual_seed(0)
g = torch.Generator().manual_seed(2)
x = torch.randn(1600, 8, generator=g)
y = ((x[:, 0] + x[:, 1] * x[:, 2]) > 0).long()
data = TensorDataset(x, y)
sampler = DistributedSampler(data)
loader = DataLoader(data, 32, sampler=sampler)
model = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
step = 0
for epoch in range(10):
    sampler.set_epoch(epoch)
    for xb, yb in loader:
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % PERIOD == 0:
            average_weights(model)
    if dist.get_rank() == 0:
        print(epoch, loss.item())
average_weights(model)
dist.destroy_process_group()
