"""Compress twelve correlated gauges to three numbers and back with a linear autoencoder."""

import torch
from torch import nn

torch.manual_seed(8)
sources = torch.randn(1500, 3)
gauges = sources @ torch.randn(3, 12) + 0.1 * torch.randn(1500, 12)
gauges = (gauges - gauges.mean(0)) / gauges.std(0)
encode, decode = nn.Linear(12, 3), nn.Linear(3, 12)
model = nn.Sequential(encode, decode)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(15):
    for batch in gauges[torch.randperm(1500)].split(50):
        loss = nn.functional.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
