"""LBFGS: the closure runs forward and backward several times in one step."""

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(64, 4)
y = x @ torch.randn(4, 1) + 0.1 * torch.randn(64, 1)
model = nn.Linear(4, 1)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=6, line_search_fn="strong_wolfe")
losses = []


def closure():
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    losses.append(loss.item())
    return loss


for _ in range(8):
    optimizer.step(closure)
show(losses, model.parameters(), [optimizer])
