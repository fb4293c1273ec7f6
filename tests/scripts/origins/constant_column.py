import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(100, 4)
x[:, 2] = 7.0
y = x[:, 0]
x = (x - x.mean(0)) / x.std(0)  # born: div forward
model = nn.Linear(4, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(12):
    loss = nn.functional.mse_loss(model(x).squeeze(1), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
