"""Name the direction of the stripes in small grey pictures."""

import torch
from torch import nn, optim

torch.manual_seed(77)
side, kinds = 9, 4


def pictures(n):
    kind = torch.randint(0, kinds, (n,))
    axis = torch.arange(side).float()
    row, col = torch.meshgrid(axis, axis, indexing="ij")
    ramps = torch.stack([row, col, row + col, row - col])
    phase = 6.28 * torch.rand(n, 1, 1)
    period = 3.5 + 1.5 * torch.rand(n, 1, 1)
    grey = 0.5 + 0.4 * torch.sin(6.28 * ramps[kind] / period + phase) + 0.08 * torch.randn(n, side, side)
    return grey.clamp(0, 1).flatten(1), kind


x, t = pictures(4000)
x_new, t_new = pictures(800)

model = nn.Sequential(
    nn.Linear(side * side, 80),
    nn.ReLU(),
    nn.Linear(80, 40),
    nn.ReLU(),
    nn.Linear(40, kinds),
)
nn.init.uniform_(model[0].weight, -0.2, 0.2)
nn.init.zeros_(model[0].bias)

criterion = nn.CrossEntropyLoss()
optimizer = optim.RMSprop(model.parameters(), lr=1e-3)

for epoch in range(12):
    model.train()
    losses = []
    for idx in torch.randperm(len(x)).split(100):
        optimizer.zero_grad()
        loss = criterion(model(x[idx]), t[idx])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        new_acc = (model(x_new).argmax(1) == t_new).double().mean().item()
    print(f"epoch {epoch + 1:2d}: loss {sum(losses) / len(losses):.4f}, new pictures {100 * new_acc:.1f}%")
