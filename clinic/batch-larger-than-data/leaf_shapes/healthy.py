"""Five plant species from the outline of a leaf, given as the radius along forty directions."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Leaves(Dataset):
    SPECIES = 5

    def __init__(self, per_species, seed):
        rng = np.random.default_rng(seed)
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        self.items = []
        for species in range(self.SPECIES):
            for _ in range(per_species):
                lobes = np.cos((species + 2) * (angle + rng.normal(0, 0.15)))
                radius = rng.uniform(0.7, 1.3) * lobes + rng.normal(0, 0.4, 40)
                self.items.append((torch.tensor(radius, dtype=torch.float32), species))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class LeafClassifier:
    def __init__(self, batch_size=24, lr=2e-3, epochs=10):
        self.batch_size, self.epochs = batch_size, epochs
        self.net = nn.Sequential(
            nn.Linear(40, 64, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(64, Leaves.SPECIES),
        )
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=lr)
        self.loss_fn = nn.CrossEntropyLoss()

    def fit(self, train_set, val_set):
        loader = DataLoader(train_set, self.batch_size, shuffle=True, drop_last=True)
        for epoch in range(self.epochs):
            self.net.train()
            for radius, species in loader:
                self.optimizer.zero_grad()
                self.loss_fn(self.net(radius), species).backward()
                self.optimizer.step()
            loss, accuracy = self.evaluate(val_set)
            print(f"epoch {epoch + 1}/{self.epochs} - val_loss: {loss:.4f} - val_accuracy: {accuracy:.4f}")

    @torch.no_grad()
    def evaluate(self, dataset):
        self.net.eval()
        loss, right = 0.0, 0
        for radius, species in DataLoader(dataset, 100):
            scores = self.net(radius)
            loss += self.loss_fn(scores, species).item() * len(species)
            right += (scores.argmax(dim=1) == species).sum().item()
        return loss / len(dataset), right / len(dataset)


def main():
    torch.manual_seed(101)
    LeafClassifier().fit(Leaves(80, seed=1), Leaves(40, seed=2))


if __name__ == "__main__":
    main()
