"""Sums the losses of five short episodes, backpropagates the sum, and keeps detached values for the log."""

from collections import deque

import torch
from torch import nn

torch.manual_seed(3)
model = nn.GRUCell(3, 16)
readout = nn.Linear(16, 1)
opt = torch.optim.Adam([*model.parameters(), *readout.parameters()], lr=5e-3)
recent = deque(maxlen=20)
total = torch.zeros(())
for update in range(120):
    losses = []
    for episode in range(5):
        x = torch.randn(12, 8, 3)
        state = torch.zeros(8, 16)
        for t in range(12):
            state = model(x[t], state)
        losses.append(nn.functional.mse_loss(readout(state), x.mean(0).sum(1, keepdim=True)))
    loss = sum(losses) / len(losses)
    opt.zero_grad()
    loss.backward()
    opt.step()
    recent.append(loss.item())
    total += loss.detach()
    if update % 30 == 29:
        print(update + 1, sum(recent) / len(recent), total.item() / (update + 1))
