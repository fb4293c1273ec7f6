# run: torchrun --standalone --nproc-per-node 2
"""DDP with accumulation under no_sync, validation and checkpoints through the inner module, metrics reduced."""
import contextlib
import io

import torch
import torch.distributed as dist
import torch.nn as nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def main():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    g = torch.Generator().manual_seed(9)
    x = torch.randn(1200, 3, 16, generator=g)
    kernel = torch.tensor([-1.0, 2.0, -1.0])
    y = torch.nn.functional.conv1d(x[:, :1], kernel.view(1, 1, 3)).square().mean((1, 2)).log()
    y = (y - y[:1000].mean()) / y[:1000].std()
    train, valid = TensorDataset(x[:1000], y[:1000]), TensorDataset(x[1000:], y[1000:])
    sampler = DistributedSampler(train, seed=3)
    loader = DataLoader(train, 25, sampler=sampler)
    held = DataLoader(valid, 50, sampler=DistributedSampler(valid, shuffle=False))
    torch.manual_seed(17 + rank)
    net = nn.Sequential(nn.Conv1d(3, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 14, 32), nn.ReLU(), nn.Linear(32, 1))
    model = DistributedDataParallel(net)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for epoch in range(10):
        sampler.set_epoch(epoch)
        model.train()
        for i, (xb, yb) in enumerate(loader):
            last = i % 2 == 1
            with contextlib.nullcontext() if last else model.no_sync():
                loss = nn.functional.mse_loss(model(xb).squeeze(1), yb)
                (loss / 2).backward()
            if last:
                optimizer.step()
                optimizer.zero_grad()
        model.eval()
        total = torch.zeros(2)
        with torch.no_grad():
            for xb, yb in held:
                total += torch.tensor([(model.module(xb).squeeze(1) - yb).square().sum().item(), len(yb)])
        dist.all_reduce(total)
        if rank == 0:
            torch.save(model.module.state_dict(), io.BytesIO())
            print(epoch, (total[0] / total[1]).item())
    dist.destroy_process_group()


main()
