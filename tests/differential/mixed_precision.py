# ci
"""Autocast to bfloat16 and a gradient scaler that meets an overflow."""

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.SiLU(), nn.Linear(16, 3))
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
x, y = torch.randn(24, 6), torch.randint(0, 3, (24,))
losses = []
for step in range(10):
    with torch.autocast("cpu", torch.bfloat16):
        loss = nn.functional.cross_entropy(model(x), y)
    if step == 4:
        loss = loss * float("inf")
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    losses += [loss.item(), norm.item(), scaler.get_scale()]
show(losses, model.parameters(), [optimizer])
