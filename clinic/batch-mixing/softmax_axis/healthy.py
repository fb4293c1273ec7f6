import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.fc1 = nn.Linear(n_features, 32)
        self.fc2 = nn.Linear(32, n_classes)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return torch.log_softmax(self.fc2(x), dim=-1)


torch.manual_seed(2)
centres = torch.randn(5, 12) * 1.5
y = torch.randint(0, 5, (640,))
x = centres[y] + torch.randn(640, 12)
net = Net(12, 5)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
criterion = nn.NLLLoss()
for epoch in range(15):
    perm = torch.randperm(640)
    running = 0.0
    for i in range(0, 640, 64):
        idx = perm[i : i + 64]
        optimizer.zero_grad()
        out = net(x[idx])
        loss = criterion(out, y[idx])
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(epoch + 1, running / 10)
