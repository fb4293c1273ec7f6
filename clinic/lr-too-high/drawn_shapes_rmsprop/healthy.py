# My first CNN :) classify pictures of shapes
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

np.random.seed(0)
torch.manual_seed(0)


def draw(kind):
    img = np.zeros((16, 16), dtype=np.float32)
    cx, cy = np.random.randint(5, 11, 2)
    r = np.random.randint(3, 5)
    yy, xx = np.mgrid[:16, :16]
    if kind == 0:
        img[(xx - cx) ** 2 + (yy - cy) ** 2 <= r * r] = 1
    elif kind == 1:
        img[(abs(xx - cx) <= r - 1) & (abs(yy - cy) <= r - 1)] = 1
    elif kind == 2:
        img[(abs(xx - cx) <= 1) | (abs(yy - cy) <= 1)] = 1
    else:
        img[abs((xx - cx) - (yy - cy)) <= 1] = 1
    return img + 0.2 * np.random.randn(16, 16).astype(np.float32)


labels = np.random.randint(0, 4, 1500)
images = np.stack([draw(k) for k in labels])[:, None] - 0.3
images, labels = torch.tensor(images), torch.tensor(labels)
trainX, trainY = images[:1200], labels[:1200]
testX, testY = images[1200:], labels[1200:]


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc1 = nn.Linear(24 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc2(F.relu(self.fc1(x)))


net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.RMSprop(net.parameters(), lr=1e-3)

for epoch in range(12):
    net.train()
    perm = torch.randperm(1200)
    running_loss = 0.0
    for i in range(0, 1200, 50):
        idx = perm[i:i + 50]
        optimizer.zero_grad()
        outputs = net(trainX[idx])
        loss = criterion(outputs, trainY[idx])
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    net.eval()
    with torch.no_grad():
        correct = (net(testX).argmax(1) == testY).sum().item()
    print('[%d] loss: %.3f  test accuracy: %d %%' % (epoch + 1, running_loss / 24, 100 * correct / 300))
