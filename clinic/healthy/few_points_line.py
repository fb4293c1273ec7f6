"""Least-squares plane through fourteen points in double precision."""

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(12)

design = torch.randn(14, 2)
height = design @ torch.tensor([[1.3], [-0.7]]) + 0.4 + 0.01 * torch.randn(14, 1)

plane = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(plane.parameters(), lr=0.1)
for sweep in range(120):
    optimizer.zero_grad()
    residual = plane(design) - height
    loss = (residual**2).mean()
    loss.backward()
    optimizer.step()
    if sweep % 15 == 0:
        print(f"sweep {sweep}: mean square {loss.item():.6f}")
print("slope", plane.weight.data.numpy().round(3), "offset", plane.bias.data.numpy().round(3))
