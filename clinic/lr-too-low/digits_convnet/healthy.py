"""Classify the 8x8 handwritten digits of scikit-learn with a small convolutional network."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

SEED = 21
EPOCHS = 6
BATCH = 32
LEARNING_RATE = 2e-3


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.c2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.out = nn.Linear(32 * 2 * 2, 10)

    def forward(self, img):
        h = F.max_pool2d(F.relu(self.c1(img)), 2)
        h = F.max_pool2d(F.relu(self.c2(h)), 2)
        return self.out(torch.flatten(h, 1))


def train(model, loader, optimizer):
    model.train()
    loss_sum, correct, count = 0.0, 0, 0
    for img, label in loader:
        optimizer.zero_grad()
        logits = model(img)
        loss = F.cross_entropy(logits, label)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * img.size(0)
        correct += (logits.argmax(dim=1) == label).sum().item()
        count += img.size(0)
    return loss_sum / count, correct / count


def validate(model, loader):
    model.eval()
    loss_sum, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for img, label in loader:
            logits = model(img)
            loss_sum += F.cross_entropy(logits, label, reduction="sum").item()
            correct += (logits.argmax(dim=1) == label).sum().item()
            count += img.size(0)
    return loss_sum / count, correct / count


torch.manual_seed(SEED)
pixels, digits = load_digits(return_X_y=True)
images = torch.tensor(pixels / 8.0 - 1.0, dtype=torch.float32).reshape(-1, 1, 8, 8)
dataset = TensorDataset(images, torch.tensor(digits))
train_part, val_part = random_split(dataset, [1437, 360])
train_loader = DataLoader(train_part, batch_size=BATCH, shuffle=True)
val_loader = DataLoader(val_part, batch_size=180)

model = DigitNet()
optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
for epoch in range(EPOCHS):
    train_loss, train_acc = train(model, train_loader, optimizer)
    val_loss, val_acc = validate(model, val_loader)
    print(f"Epoch {epoch} | train {train_loss:.4f} / {train_acc:.2%} | val {val_loss:.4f} / {val_acc:.2%}")
