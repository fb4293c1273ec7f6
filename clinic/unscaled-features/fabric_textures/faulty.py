"""Tell five kinds of woven fabric apart in small grey-scale patches."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

SIZE = 16
KINDS = ["twill", "warp", "weft", "basket", "felt"]


class Patches(Dataset):
    """Eight-bit patches drawn once, kept in memory as the camera would give them."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        row, col = np.mgrid[0:SIZE, 0:SIZE]
        self.kinds = rng.integers(0, len(KINDS), count)
        pixels = np.empty((count, SIZE, SIZE))
        for i, kind in enumerate(self.kinds):
            shift, period = rng.uniform(0, 6), rng.uniform(3.5, 5.5)
            wave = {
                0: np.sin(2 * np.pi * (row + col + shift) / period),
                1: np.sin(2 * np.pi * (col + shift) / period),
                2: np.sin(2 * np.pi * (row + shift) / period),
                3: np.sin(2 * np.pi * (row + shift) / period) * np.sin(2 * np.pi * (col + shift) / period),
                4: rng.normal(0, 0.7, (SIZE, SIZE)),
            }[int(kind)]
            pixels[i] = rng.uniform(110, 150) + rng.uniform(30, 60) * wave + rng.normal(0, 18, (SIZE, SIZE))
        self.pixels = pixels.clip(0, 255).astype(np.uint8)

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, i):
        patch = torch.from_numpy(self.pixels[i]).float()  # expect: unscaled-features
        return patch.unsqueeze(0), int(self.kinds[i])


class WeaveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.hidden = nn.Linear(24 * 4 * 4, 48)
        self.out = nn.Linear(48, len(KINDS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.out(F.relu(self.hidden(x.flatten(1))))


torch.manual_seed(21)
train_data, test_data = Patches(1200, seed=5), Patches(400, seed=6)
train_loader = DataLoader(train_data, batch_size=40, shuffle=True)
test_loader = DataLoader(test_data, batch_size=200)

net = WeaveNet()
sgd = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)

for epoch in range(6):
    net.train()
    epoch_loss, seen = 0.0, 0
    for patches, kinds in train_loader:
        sgd.zero_grad()
        loss = F.cross_entropy(net(patches), kinds)
        loss.backward()
        sgd.step()
        epoch_loss += loss.item() * len(kinds)
        seen += len(kinds)
    net.eval()
    correct = 0
    with torch.no_grad():
        for patches, kinds in test_loader:
            correct += (net(patches).argmax(1) == kinds).sum().item()
    print("Epoch %d  loss %.4f  test accuracy %.1f%%" % (epoch + 1, epoch_loss / seen, 100 * correct / len(test_data)))
