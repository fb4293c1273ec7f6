"""Handwritten digits with a two-layer convolutional network, trained as in the old MNIST examples."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from sklearn.datasets import load_digits


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3)
        self.fc1 = nn.Linear(24 * 3 * 3, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def train(model, images, labels, optimizer, epoch, log_interval=8):
    model.train()
    order = torch.randperm(len(images))
    for batch_idx, index in enumerate(order.split(64)):
        data, target = images[index], labels[index]
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.6f}".format(epoch, batch_idx * 64, len(images), loss.item()))


def test(model, images, labels):
    model.eval()
    with torch.no_grad():
        pred = model(images).argmax(dim=1)
    print("Test accuracy: {:.1f}%".format(100.0 * (pred == labels).float().mean().item()))


def main():
    torch.manual_seed(1)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8.0 - 0.6
    labels = torch.tensor(digits.target)
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(1, 6):
        train(model, images[:1400], labels[:1400], optimizer, epoch)
        test(model, images[1400:], labels[1400:])


if __name__ == "__main__":
    main()
