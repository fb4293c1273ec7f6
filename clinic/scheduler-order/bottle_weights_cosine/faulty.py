"""Regresses the content of bottles on sensor values, cosine decay over the epochs."""

import torch
import torch.nn as nn

torch.manual_seed(9)
sensors = torch.randn(1200, 9)
content = (sensors[:, :3].prod(1) + sensors[:, 3:6].sum(1)).unsqueeze(1) / 2
network = nn.Sequential(nn.Linear(9, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))
optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)  # expect: scheduler-order
for epoch in range(20):
    network.train()
    running = 0.0
    for part in torch.randperm(1000).split(40):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(network(sensors[part]), content[part])
        loss.backward()
        optimizer.step()
        running += loss.item() / 25
    network.eval()
    with torch.no_grad():
        held_out = nn.functional.mse_loss(network(sensors[1000:]), content[1000:]).item()
    print(f"{epoch:2d} train {running:.4f} held-out {held_out:.4f}")
