"""Finds cracks in synthetic surface patches; reports loss and accuracy on held-out patches every epoch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def patches(count):
    image = 0.3 * torch.randn(count, 1, 16, 16)
    cracked = torch.rand(count) < 0.5
    for i in torch.nonzero(cracked).flatten().tolist():
        row, slope = torch.randint(3, 13, (1,)).item(), torch.randn(1).item() * 0.3
        for column in range(16):
            image[i, 0, int(min(15, max(0, row + slope * (column - 8)))), column] -= 1.0
    return TensorDataset(image, cracked.float().unsqueeze(1))


class CrackNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten()
        )
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(12 * 16, 1)

    def forward(self, image):
        return self.out(self.drop(self.body(image)))


def evaluate(net, loader, criterion):  # expect: grad-enabled-in-eval
    net.eval()  # expect: grad-enabled-in-eval
    loss, hits, seen = 0.0, 0, 0
    for image, cracked in loader:
        logits = net(image)  # expect: grad-enabled-in-eval
        loss += criterion(logits, cracked).item() * len(image)
        hits += ((logits > 0) == (cracked > 0.5)).sum().item()
        seen += len(image)
    return loss / seen, hits / seen


def main():
    torch.manual_seed(27)
    train_set, test_set = random_split(patches(1200), [960, 240])
    train, test = DataLoader(train_set, 32, shuffle=True), DataLoader(test_set, 80)
    net, criterion = CrackNet(), nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(8):
        net.train()
        for image, cracked in train:
            loss = criterion(net(image), cracked)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print("epoch %d: test loss %.4f, accuracy %.4f" % (epoch, *evaluate(net, test, criterion)))


main()
