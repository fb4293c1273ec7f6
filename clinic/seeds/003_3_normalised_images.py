"""Colour-pattern classifier on images brought from the unit range to plus or minus one."""

# verdict: healthy

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset


class Normalise:
    def __init__(self, mean, std):
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def __call__(self, image):
        return (image - self.mean) / self.std


class Patterns(Dataset):
    """Noisy copies of five smooth colour patterns with pixels between 0 and 1."""

    def __init__(self, n, transform=None):
        coarse = torch.rand(5, 3, 4, 4)
        prototypes = nn.functional.interpolate(coarse, size=32, mode="bilinear")
        self.labels = torch.randint(0, 5, (n,))
        self.images = (prototypes[self.labels] + 0.25 * torch.randn(n, 3, 32, 32)).clamp(0, 1)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[i]


def main():
    torch.manual_seed(33)
    data = Patterns(960, transform=Normalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
    loader = DataLoader(data, batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.ReLU(), nn.Linear(64, 5))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, weight_decay=1e-4)
    scheduler = ReduceLROnPlateau(optimizer, "min", patience=5, factor=0.5)
    for epoch in range(20):
        total, hits = 0.0, 0
        for images, labels in loader:
            optimizer.zero_grad()
            scores = model(images)
            loss = criterion(scores, labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
            hits += (scores.argmax(1) == labels).sum().item()
        scheduler.step(total / len(loader))
        print(f"epoch {epoch}: loss {total / len(loader):.4f} accuracy {hits / len(data):.3f}")


if __name__ == "__main__":
    main()
