"""Grades tomatoes by colour histograms; prints the mean training loss and the test accuracy."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(41)
grade = torch.randint(0, 4, (1600,))
histogram = torch.softmax(2 * torch.randn(4, 24)[grade] + 1.2 * torch.randn(1600, 24), 1)
histogram = (histogram - histogram.mean(0)) / histogram.std(0)
train_loader = DataLoader(TensorDataset(histogram[:1280], grade[:1280]), batch_size=32, shuffle=True)
test_loader = DataLoader(TensorDataset(histogram[1280:], grade[1280:]), batch_size=80)
model = nn.Sequential(nn.Linear(24, 48), nn.ReLU(), nn.Linear(48, 4))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def train():
    model.train()
    running_loss = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()  # expect: wrong-metric
    return running_loss / len(train_loader.dataset)  # expect: wrong-metric


def test():
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in test_loader:
            correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(test_loader.dataset)


for epoch in range(8):
    print(f"epoch {epoch + 1} loss {train():.4f} accuracy {test():.4f}")
