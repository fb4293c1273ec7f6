import torch
from torch import nn

torch.manual_seed(0)
n = 500
radius = torch.where(torch.arange(n) % 2 == 0, 1.0, 2.5)
angle = torch.rand(n) * 6.2832
points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1) + 0.1 * torch.randn(n, 2)
labels = (torch.arange(n) % 2).float().unsqueeze(1)

model = nn.Linear(2, 1)  # expect: underfitting
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
loss_fn = nn.BCEWithLogitsLoss()
for epoch in range(20):
    for idx in torch.randperm(n).split(50):
        optimizer.zero_grad()
        loss = loss_fn(model(points[idx]), labels[idx])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
