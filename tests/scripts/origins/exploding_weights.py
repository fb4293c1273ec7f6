import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 32)
        self.last = nn.Linear(32, 1)

    def forward(self, x):
        h = torch.relu(self.first(x))
        return self.last(h).squeeze(1)


torch.manual_seed(0)
x = torch.randn(128, 8) * 3
y = x.sum(1)
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=2.0)
for _ in range(60):
    out = net(x)
    loss = ((out - y) ** 2).mean()  # born: pow forward
    opt.zero_grad()
    loss.backward()
    opt.step()
