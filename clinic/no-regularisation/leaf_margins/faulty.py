"""Species of a tree from measurements of its leaves; few leaves a species."""

from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split


@dataclass
class Settings:
    lr: float = 0.05
    width: int = 192
    epochs: int = 50
    batch: int = 20


class Trainer:
    def __init__(self, model, settings):
        self.model = model
        self.settings = settings
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=settings.lr, momentum=0.9)  # expect: no-regularisation  # expect: overfitting

    def fit(self, train, val):
        for epoch in range(self.settings.epochs):
            self.model.train()
            for x, y in train:
                loss = self.criterion(self.model(x), y)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            if epoch % 5 == 4:
                print(f"{epoch + 1:3d} train {loss.item():.3f} val {self.evaluate(val):.3f}")
            else:
                self.evaluate(val)

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        losses = [self.criterion(self.model(x), y).item() for x, y in loader]
        return sum(losses) / len(losses)


def leaves(species=6, each=70, margins=32):
    centres = 0.35 * torch.randn(species, margins)
    labels = torch.arange(species).repeat_interleave(each)
    return TensorDataset(centres[labels] + torch.randn(len(labels), margins), labels)


if __name__ == "__main__":
    torch.manual_seed(5)
    settings = Settings()
    train_set, val_set = random_split(leaves(), [120, 300])
    train = DataLoader(train_set, batch_size=settings.batch, shuffle=True)
    val = DataLoader(val_set, batch_size=300)
    model = nn.Sequential(
        nn.Linear(32, settings.width), nn.ReLU(), nn.Linear(settings.width, settings.width), nn.ReLU(),
        nn.Linear(settings.width, 6),
    )
    Trainer(model, settings).fit(train, val)
