"""Click-through classifier trained on an endless stream of generated events."""

from itertools import islice

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, IterableDataset


class EventStream(IterableDataset):
    def __init__(self, seed):
        self.seed = seed

    def __iter__(self):
        g = torch.Generator().manual_seed(self.seed)
        taste = torch.randn(6, generator=torch.Generator().manual_seed(0))
        while True:
            event = torch.randn(6, generator=g)
            appeal = 2.5 * (event @ taste) / taste.norm() + 1.5 * event[0] * event[1]
            clicked = torch.rand((), generator=g) < torch.sigmoid(2 * appeal)
            yield event, clicked.float()


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.deep = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
        self.wide = nn.Linear(6, 1)

    def forward(self, event):
        return (self.deep(event) + self.wide(event)).squeeze(1)


torch.manual_seed(26)
scorer = Scorer()
optimizer = torch.optim.Adam(scorer.parameters(), lr=4e-3)
criterion = nn.BCEWithLogitsLoss()
stream = DataLoader(EventStream(seed=1), batch_size=64)
held_out = list(islice(DataLoader(EventStream(seed=2), batch_size=250), 4))
window = []

for step, (event, clicked) in enumerate(islice(stream, 320), start=1):
    scorer.train()
    optimizer.zero_grad()
    loss = criterion(scorer(event), clicked)
    loss.backward()
    optimizer.step()
    window.append(loss.item())
    if step % 40 == 0:
        scorer.eval()
        with torch.no_grad():
            hits = sum(((scorer(e) > 0) == c.bool()).sum().item() for e, c in held_out)
        print(f"step {step}: mean loss {sum(window) / len(window):.4f} held-out accuracy {hits / 1000:.3f}")
        window = []
