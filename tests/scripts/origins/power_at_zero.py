import torch
from torch import nn

torch.manual_seed(0)
x = torch.rand(50, 4)
y = torch.rand(50)
layer = nn.Linear(4, 1)
opt = torch.optim.SGD(layer.parameters(), lr=1e-3)
for i in range(8):
    out = torch.relu(layer(x)).squeeze(1)
    if i == 5:
        out = out * 0
    root = out.pow(0.5)  # born: PowBackward0 backward
    loss = (root - y).abs().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
