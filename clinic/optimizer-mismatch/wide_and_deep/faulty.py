import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class WideAndDeep(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.wide = nn.Linear(n, 1)
        self.deep = nn.Sequential(nn.Linear(n, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x):
        return self.wide(15 * x) + self.deep(0.1 * x)


torch.manual_seed(0)
x = torch.randn(960, 6)
y = (x[:, :1] - x[:, 1:2]).abs() + x[:, 2:3].abs()
y = (y - y.mean()) / y.std()
loader = DataLoader(TensorDataset(x, y), batch_size=48, shuffle=True)
model = WideAndDeep(6)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=5e-4)  # expect: optimizer-mismatch
for epoch in range(12):
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
