"""Traffic-light-like colour images left in the range 0 to 1, classified by a small CNN."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Lights(Dataset):
    """12x8 RGB pictures of a dark case with one of three lamps lit, on a random background."""

    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.state = torch.randint(0, 3, (n,), generator=g)
        picture = torch.rand(n, 3, 1, 1, generator=g).expand(n, 3, 12, 8).clone()
        picture[:, :, 1:11, 2:6] = 0.1
        colours = torch.tensor([[0.9, 0.1, 0.1], [0.9, 0.7, 0.1], [0.1, 0.8, 0.3]])
        for i, state in enumerate(self.state.tolist()):
            top = 2 + 3 * state
            picture[i, :, top : top + 2, 3:5] = colours[state][:, None, None]
        noise = 0.25 * torch.randn(picture.shape, generator=g)
        brightness = 0.5 + 0.5 * torch.rand(n, 1, 1, 1, generator=g)
        self.picture = (picture * brightness + noise).clamp(0, 1)

    def __len__(self):
        return len(self.state)

    def __getitem__(self, i):
        return self.picture[i], self.state[i]


class LightNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stack = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 3, padding=1),
            nn.LeakyReLU(0.1),
        )
        self.classify = nn.Linear(16 * 6 * 4, 3)

    def forward(self, x):
        return self.classify(self.stack(x).flatten(1))


torch.manual_seed(88)
train_loader = DataLoader(Lights(1200, 1), batch_size=40, shuffle=True)
test_loader = DataLoader(Lights(300, 2), batch_size=100)
net = LightNet()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(7):
    net.train()
    running = 0.0
    for picture, state in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(net(picture), state)
        loss.backward()
        optimizer.step()
        running += loss.item()
    net.eval()
    hits = 0
    with torch.no_grad():
        for picture, state in test_loader:
            hits += int((net(picture).argmax(1) == state).sum())
    print(f"epoch {epoch} loss {running / len(train_loader):.4f} test accuracy {hits / 300:.3f}")
