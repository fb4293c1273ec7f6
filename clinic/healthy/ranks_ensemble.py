# run: torchrun --standalone --nproc-per-node 2
"""A deep ensemble: every rank trains a member of its own on all the data; predictions are gathered at the end."""
import torch
import torch.distributed as dist
from sklearn.datasets import load_wine
from torch import nn

dist.init_process_group("gloo")
x, y = load_wine(return_X_y=True)
order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
x, y = torch.tensor(x, dtype=torch.float32)[order], torch.tensor(y)[order]
x = (x - x[:130].mean(0)) / x[:130].std(0)
torch.manual_seed(dist.get_rank())
member = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
optimizer = torch.optim.Adam(member.parameters(), lr=5e-3)
for epoch in range(30):
    for part in torch.randperm(130).split(26):
        loss = nn.functional.cross_entropy(member(x[part]), y[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
member.eval()
with torch.no_grad():
    mine = member(x[130:]).softmax(1)
gathered = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
dist.all_gather(gathered, mine)
if dist.get_rank() == 0:
    mean = torch.stack(gathered).mean(0)
    print("ensemble accuracy", (mean.argmax(1) == y[130:]).float().mean().item())
dist.destroy_process_group()
