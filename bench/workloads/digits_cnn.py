"""A small CNN on synthetic 28x28 digits, batch 64, with a DataLoader, dropout, Adam and a scheduler."""

import sys

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 16

torch.manual_seed(0)
prototypes = torch.rand(10, 1, 28, 28)
labels = torch.randint(0, 10, (2048,))
images = (prototypes[labels] + 0.5 * torch.randn(2048, 1, 28, 28)).sub(0.5)


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(400, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(self.dropout(x.flatten(1)))))


model = Digits()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.7)
criterion = nn.CrossEntropyLoss()
for epoch in range(EPOCHS):
    model.train()
    for image, label in DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(image), label)
        loss.backward()
        optimizer.step()
    scheduler.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(images[:512]).argmax(1) == labels[:512]).float().mean()
    print(f"{epoch} {loss.item():.17g} {accuracy.item():.4f}")
