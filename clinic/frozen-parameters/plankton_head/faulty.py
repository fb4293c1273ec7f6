"""Give a small image net a new head for plankton shapes and train what is not frozen."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SmallNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 16, n_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def blobs(n, kinds):
    images, labels = 0.2 * torch.randn(n, 1, 16, 16), torch.randint(0, kinds, (n,))
    for i, k in enumerate(labels.tolist()):
        r, c = torch.randint(1, 9, (2,)).tolist()
        if k == 0:
            images[i, 0, r : r + 6, c : c + 2] += 1.5
        elif k == 1:
            images[i, 0, r : r + 2, c : c + 6] += 1.5
        elif k == 2:
            images[i, 0, r : r + 4, c : c + 4] += 1.5
        else:
            images[i, 0, range(r, r + 6), range(c, c + 6)] += 3
    return images, labels


def fit(net, x, y, epochs, lr):
    trainable = [p for p in net.parameters()]
    optimizer = torch.optim.Adam(trainable, lr=lr)
    for epoch in range(epochs):
        net.train()
        for idx in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[idx]), y[idx])
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.3f}")


if __name__ == "__main__":
    torch.manual_seed(2)
    source_x, source_y = blobs(800, 3)
    net = SmallNet(3)
    fit(net, source_x, source_y, 6, 3e-3)

    net.fc = nn.Linear(16 * 16, 4)
    for p in net.parameters():  # expect: frozen-parameters
        p.requires_grad = False  # expect: frozen-parameters
    target_x, target_y = blobs(800, 4)
    fit(net, target_x, target_y, 6, 3e-3)
