"""Sort ceramic tiles into five textures from small grey images."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class TileNet(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(12)
        self.fc = nn.Linear(12 * 36, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv(x))), 2)
        return self.fc(x.flatten(1))


def tiles(n):
    kind = torch.randint(0, 5, (n,))
    base = torch.randn(5, 1, 12, 12, generator=torch.Generator().manual_seed(4))
    return base[kind] * 0.7 + torch.randn(n, 1, 12, 12) * 0.9, kind


def main():
    torch.manual_seed(6)
    loader = DataLoader(TensorDataset(*tiles(1200)), batch_size=16, shuffle=True)
    x_val, y_val = tiles(300)
    model = TileNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(5):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            logits = model(x_val)
        print(f"{epoch} val {F.cross_entropy(logits, y_val):.4f} acc {(logits.argmax(1) == y_val).float().mean():.3f}")


main()
