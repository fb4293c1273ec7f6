"""Digits with random shifts, prepared in a worker process."""

import random

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset


class Shifted(Dataset):
    def __init__(self):
        pixels, self.digits = load_digits(return_X_y=True)
        self.images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
        self.chance = random.Random(7)

    def shift(self, image):
        return torch.roll(image, random.randint(-1, 1), dims=2)

    def __len__(self):
        return len(self.digits)

    def __getitem__(self, i):
        return self.shift(self.images[i]), int(self.digits[i])


if __name__ == "__main__":
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(4):
        total = 0.0
        for images, digits in DataLoader(Shifted(), 64, shuffle=True, num_workers=2):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(images), digits)
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch}: {total:.3f}")
