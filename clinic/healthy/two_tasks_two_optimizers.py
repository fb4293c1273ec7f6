"""Shared trunk with a regression and a classification head, each side stepped by its own optimizer."""

import itertools

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(37)


class Trunk(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())


def make(n):
    x = torch.randn(n, 10)
    price = (x[:, 0] * x[:, 1] + x[:, 2] - x[:, 3].abs() + 0.8) / 1.5
    kind = torch.stack([x[:, 4] + x[:, 5], x[:, 6] - x[:, 4], x[:, 7] * 1.4], 1).argmax(1)
    return x, price, kind


trunk, price_head, kind_head = Trunk(), nn.Linear(32, 1), nn.Linear(32, 3)
trunk_optimizer = torch.optim.Adam(trunk.parameters(), lr=2e-3)
head_optimizer = torch.optim.SGD(
    itertools.chain(price_head.parameters(), kind_head.parameters()), lr=0.05, momentum=0.9
)
loader = DataLoader(TensorDataset(*make(2000)), batch_size=50, shuffle=True)
x_test, price_test, kind_test = make(500)

for epoch in range(12):
    sums = [0.0, 0.0]
    for part in (trunk, price_head, kind_head):
        part.train()
    for x, price, kind in loader:
        shared = trunk(x)
        price_loss = nn.functional.mse_loss(price_head(shared).squeeze(1), price)
        kind_loss = nn.functional.cross_entropy(kind_head(shared), kind)
        trunk_optimizer.zero_grad()
        head_optimizer.zero_grad()
        torch.autograd.backward([price_loss, kind_loss])
        trunk_optimizer.step()
        head_optimizer.step()
        sums[0] += price_loss.item() / len(loader)
        sums[1] += kind_loss.item() / len(loader)
    for part in (trunk, price_head, kind_head):
        part.eval()
    with torch.no_grad():
        shared = trunk(x_test)
        test_mse = (price_head(shared).squeeze(1) - price_test).pow(2).mean().item()
        test_acc = (kind_head(shared).argmax(1) == kind_test).float().mean().item()
    print(f"{epoch + 1:2d} price {sums[0]:.4f} kind {sums[1]:.4f} | test mse {test_mse:.4f} accuracy {test_acc:.3f}")
