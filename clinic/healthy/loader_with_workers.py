"""Augmented patch classifier fed by two loader workers."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


def flip_and_noise(image):
    if torch.rand(()) < 0.5:
        image = image.flip(-1)
    return image + 0.1 * torch.randn_like(image)


class Patches(Dataset):
    """Blobs in the upper or lower half, large or small: four classes."""

    def __init__(self, n, seed, transform=None):
        g = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 4, (n,), generator=g)
        axis = torch.arange(10.0)
        row = (2.5 + 4.5 * (self.labels % 2) + 0.7 * torch.randn(n, generator=g))[:, None, None]
        col = (9 * torch.rand(n, generator=g))[:, None, None]
        width = (1.0 + 1.2 * (self.labels // 2))[:, None, None]
        squared = (axis[:, None] - row) ** 2 + (axis[None, :] - col) ** 2
        blob = torch.exp(-squared / (2 * width**2)) + 0.15 * torch.randn(n, 10, 10, generator=g)
        self.images = ((blob - 0.13) / 0.3).unsqueeze(1)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        return (self.transform(image) if self.transform else image), self.labels[i]


def main():
    torch.manual_seed(13)
    train_loader = DataLoader(
        Patches(1200, 1, flip_and_noise), batch_size=48, shuffle=True, num_workers=2, persistent_workers=True
    )
    val_loader = DataLoader(Patches(400, 2), batch_size=200)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(600, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(6):
        model.train()
        loss_sum = 0.0
        for images, labels in train_loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(labels)
        model.eval()
        hits = 0
        with torch.no_grad():
            for images, labels in val_loader:
                hits += (model(images).argmax(1) == labels).sum().item()
        print(f"epoch {epoch + 1} loss {loss_sum / 1200:.4f} val accuracy {hits / 400:.3f}", flush=True)


if __name__ == "__main__":
    main()
