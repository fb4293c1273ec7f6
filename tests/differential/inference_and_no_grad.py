"""Evaluation under inference_mode, no_grad and set_grad_enabled between steps."""

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters(), 0.02)
x, y = torch.randn(40, 4), torch.randint(0, 2, (40,))
losses = []


@torch.inference_mode()
def evaluate():
    model.eval()
    loss = F.cross_entropy(model(x), y)
    model.train()
    return loss


for step in range(8):
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    value = evaluate()
    print(value.is_inference(), value.requires_grad, torch.is_grad_enabled())
    with torch.no_grad():
        losses += [value, F.cross_entropy(model(x), y)]
    with torch.set_grad_enabled(step % 2 == 0):
        losses.append(F.nll_loss(F.log_softmax(model(x), 1), y))
show(losses, [*model.parameters(), *model.buffers()], [optimizer])
