# run: torchrun --standalone --nproc-per-node 2
import torch
import torch.distributed as dist
import torch.nn as nn
from sklearn.datasets import load_breast_cancer
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
torch.manual_seed(0)

features, target = load_breast_cancer(return_X_y=True)
split = torch.randperm(len(target), generator=torch.Generator().manual_seed(1))
X = torch.tensor(features, dtype=torch.float32)[split]
y = torch.tensor(target, dtype=torch.float32)[split]
mean, std = X[:455].mean(0), X[:455].std(0)
X = (X - mean) / std
train, valid = TensorDataset(X[:455], y[:455]), (X[455:], y[455:])

sampler = DistributedSampler(train, num_replicas=world, rank=rank)
loader = DataLoader(train, batch_size=16, sampler=sampler)
net = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
ddp = nn.parallel.DistributedDataParallel(net)
opt = torch.optim.SGD(ddp.parameters(), lr=0.05, momentum=0.9)
bce = nn.BCEWithLogitsLoss()

for epoch in range(15):
    sampler.set_epoch(epoch)
    ddp.train()
    for xb, yb in loader:
        logits = ddp.module(xb).squeeze(1)  # expect: ddp-bypassed
        loss = bce(logits, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    ddp.eval()
    with torch.no_grad():
        accuracy = ((ddp.module(valid[0]).squeeze(1) > 0).float() == valid[1]).float().mean()
    if rank == 0:
        print(f"epoch {epoch} accuracy {accuracy.item():.3f}")
dist.destroy_process_group()
