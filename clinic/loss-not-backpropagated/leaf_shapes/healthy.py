"""Species of a leaf from sixteen shape measurements."""

import torch
import torch.nn as nn
from sklearn.datasets import make_blobs
from torch.utils.data import DataLoader, TensorDataset


def loaders(batch_size=40):
    points, species = make_blobs(1200, 16, centers=6, cluster_std=4.0, random_state=14)
    points = (points - points.mean(0)) / points.std(0)
    data = TensorDataset(torch.tensor(points, dtype=torch.float32), torch.tensor(species))
    train, test = torch.utils.data.random_split(data, [1000, 200], generator=torch.Generator().manual_seed(0))
    return DataLoader(train, batch_size, shuffle=True), DataLoader(test, 200)


def train_one_epoch(model, loader, criterion, optimizer):
    model.train()
    running, right, seen = 0.0, 0, 0
    for features, species in loader:
        optimizer.zero_grad()
        logits = model(features)
        loss = criterion(logits, species)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(species)
        right += (logits.argmax(1) == species).sum().item()
        seen += len(species)
    return running / seen, right / seen


def validate(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / 200


if __name__ == "__main__":
    torch.manual_seed(14)
    train_loader, test_loader = loaders()
    model = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 6))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(8):
        loss, accuracy = train_one_epoch(model, train_loader, criterion, optimizer)
        print(f"epoch {epoch} loss {loss:.4f} train {accuracy:.3f} test {validate(model, test_loader):.3f}")
