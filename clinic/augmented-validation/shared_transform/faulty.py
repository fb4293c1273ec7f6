"""Digits with noise and shifts for training, and a clean tenth to validate on."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split


class Digits(Dataset):
    def __init__(self, augment):
        pixels, digits = load_digits(return_X_y=True)
        self.images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
        self.digits = torch.tensor(digits)
        self.augment = augment

    def __len__(self):
        return len(self.digits)

    def __getitem__(self, i):
        image = self.images[i]
        if self.augment:
            image = torch.roll(image, int(torch.randint(-1, 2, ())), dims=-1) + 0.2 * torch.randn_like(image)
        return image, self.digits[i]


torch.manual_seed(3)
train_set, val_set = random_split(Digits(augment=True), [1597, 200])  # expect: augmented-validation
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=100)
model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(5):
    model.train()
    for image, digit in train_loader:
        loss = criterion(model(image), digit)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(image).argmax(1) == digit).sum().item() for image, digit in val_loader)
    print(f"epoch {epoch}: loss {loss.item():.3f} accuracy {right / 200:.3f}")
