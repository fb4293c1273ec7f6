"""Star ratings of short reviews from bags of words, with a validation split."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class StarModel(nn.Module):
    def __init__(self, vocabulary, width, p):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocabulary, width)
        self.drop = nn.Dropout(p)
        self.fc = nn.Linear(width, 5)

    def forward(self, words):
        return self.fc(self.drop(F.relu(self.bag(words))))


def reviews(n):
    stars = torch.randint(0, 5, (n,))
    hints = stars[:, None] * 40 + torch.randint(0, 40, (n, 4))
    words = torch.cat([hints, torch.randint(200, 1200, (n, 12))], dim=1)
    noise = torch.rand(n) < 0.4
    return words, torch.where(noise, torch.randint(0, 5, (n,)), stars)


def evaluate(model, loader):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for words, stars in loader:
            total += F.cross_entropy(model(words), stars, reduction="sum").item()  # expect: overfitting
    return total / len(loader.dataset)


def main(epochs=75, width=64, p=0.0, decay=0.0, samples=500):  # expect: overfitting
    torch.manual_seed(0)
    train_loader = DataLoader(TensorDataset(*reviews(samples)), batch_size=25, shuffle=True)
    val_loader = DataLoader(TensorDataset(*reviews(400)), batch_size=400)
    model = StarModel(1200, width, p)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=decay)  # expect: overfitting
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for words, stars in train_loader:
            loss = F.cross_entropy(model(words), stars)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        if epoch % 3 == 2:
            print(f"epoch {epoch} train {total / len(train_loader):.3f} val {evaluate(model, val_loader):.3f}")


if __name__ == "__main__":
    main()
