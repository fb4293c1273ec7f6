"""Float16 autocast on the processor with a scaler, windows of two batches, unscaling and clipping once a window."""

import torch
from torch import nn

torch.manual_seed(4)
x = torch.randn(1200, 10)
y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).float().unsqueeze(1)
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for epoch in range(10):
    for i, rows in enumerate(torch.randperm(1200).split(30)):
        with torch.autocast("cpu", dtype=torch.float16):
            logits = model(x[rows])
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), y[rows]) / 2
        scaler.scale(loss).backward()
        if i % 2 == 1:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    print(epoch, round(2 * loss.item(), 4), scaler.get_scale())
