"""Sorts shop items by their description vectors under autocast on the processor."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(12)
centres = torch.randn(7, 30)
shelf = torch.randint(0, 7, (1500,))
items = centres[shelf] + 1.2 * torch.randn(1500, 30)


class Sorter(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(30, 80)
        self.second = nn.Linear(80, 7)

    def forward(self, item):
        return self.second(F.gelu(self.first(item)))


sorter = Sorter()
adam = torch.optim.Adam(sorter.parameters(), lr=2e-3)
for epoch in range(8):
    hits = 0
    for rows in torch.randperm(1500).split(60):
        with torch.autocast("cpu", dtype=torch.float16):  # expect: mixed-precision-misuse
            scores = sorter(items[rows])
            loss = F.cross_entropy(scores.float(), shelf[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
        hits += (scores.argmax(1) == shelf[rows]).sum().item()
    print("epoch", epoch, "loss", round(loss.item(), 4), "hits", hits / 1500)
