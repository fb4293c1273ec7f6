import torch
from torch import nn


class Distance(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(5, 8)

    def forward(self, a, b):
        gap = self.body(a) - self.body(b)
        return (gap * gap).sum(1).sqrt()  # born: SqrtBackward0 backward


torch.manual_seed(1)
model = Distance()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
a, b = torch.randn(40, 5), torch.randn(40, 5)
target = torch.rand(40)
for epoch in range(6):
    for start in range(0, 40, 10):
        one, two = a[start : start + 10], b[start : start + 10].clone()
        if epoch == 3 and start == 20:
            two[4] = one[4]
        optimizer.zero_grad()
        out = model(one, two)
        loss = ((out - target[start : start + 10]) ** 2).mean()
        loss.backward()
        optimizer.step()
