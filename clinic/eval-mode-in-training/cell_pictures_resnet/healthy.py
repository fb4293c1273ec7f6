"""Count the cells (one to four) in a small microscope-like picture with a residual network."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(25)
device = "cuda" if torch.cuda.is_available() else "cpu"


def render(n, size=14):
    count = torch.randint(1, 5, (n,))
    # one cell at most in each quadrant, so that they never overlap
    corner = torch.rand(n, 4).argsort(dim=1)
    shown = torch.zeros(n, 4).scatter_(1, corner, (torch.arange(4) < count[:, None]).float())
    origin = torch.tensor([[3.0, 3.0], [3.0, 10.0], [10.0, 3.0], [10.0, 10.0]])
    centre = origin + 1.6 * (torch.rand(n, 4, 2) - 0.5)
    axis = torch.arange(size).float()
    dy = (axis[None, None, :, None] - centre[:, :, 0, None, None]) ** 2
    dx = (axis[None, None, None, :] - centre[:, :, 1, None, None]) ** 2
    radius = 1.2 + 0.5 * torch.rand(n, 4, 1, 1)
    picture = (shown[:, :, None, None] * torch.exp(-(dy + dx) / radius**2)).sum(1)
    return (picture + 0.15 * torch.randn(n, size, size)).unsqueeze(1), count - 1


class ResBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x):
        h = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(h)))


images, labels = render(2000)
train_images, test_images = images[:1600], images[1600:]
mean, std = train_images.mean(), train_images.std()
train_data = TensorDataset((train_images - mean) / std, labels[:1600])
test_data = TensorDataset((test_images - mean) / std, labels[1600:])
train_loader = DataLoader(train_data, batch_size=40, shuffle=True)
test_loader = DataLoader(test_data, batch_size=100)

net = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    ResBlock(8),
    nn.Flatten(),
    nn.Dropout(0.2),
    nn.Linear(8 * 49, 4),
).to(device)

net.eval()
with torch.no_grad():
    print("logits for one picture:", tuple(net(train_images[:1].to(device)).shape))

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)

net.train()
for epoch in range(8):
    loss_meter, hit_meter = 0.0, 0
    for xb, yb in train_loader:
        xb, yb = xb.to(device), yb.to(device)
        logits = net(xb)
        loss = criterion(logits, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_meter += loss.item()
        hit_meter += (logits.argmax(1) == yb).sum().item()
    print(f"epoch {epoch + 1}: loss {loss_meter / len(train_loader):.4f} accuracy {hit_meter / len(train_data):.4f}")

net.eval()
with torch.no_grad():
    hits = sum((net(xb.to(device)).argmax(1).cpu() == yb).sum().item() for xb, yb in test_loader)
print(f"test accuracy {hits / len(test_data):.4f}")
