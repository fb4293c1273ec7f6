"""Embedding of points that keeps their distances (multi-dimensional scaling by gradient descent)."""

import torch

torch.manual_seed(19)
cloud = torch.randn(400_000, 6)
projection = torch.nn.Linear(6, 3, bias=False)
optimizer = torch.optim.Adam(projection.parameters(), lr=0.02)

for step in range(150):
    points = cloud
    wanted = torch.cdist(points, points)  # expect: out-of-memory
    found = torch.cdist(projection(points), projection(points))
    stress = (found - wanted).square().mean() / wanted.square().mean()
    optimizer.zero_grad()
    stress.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step + 1}: stress {stress.item():.4f}")
