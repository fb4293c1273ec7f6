"""A small network on the digits of scikit-learn."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(30)
pixels, digits = load_digits(return_X_y=True)
half = np.random.default_rng(30).permutation(len(digits))
keep = np.sort(half[:1500])
rows = np.concatenate([keep[digits[keep] == digit] for digit in range(10)])  # one folder after the other
train = TensorDataset(torch.tensor(pixels[rows] / 16, dtype=torch.float32), torch.tensor(digits[rows]))
test = TensorDataset(torch.tensor(pixels[half[1500:]] / 16, dtype=torch.float32), torch.tensor(digits[half[1500:]]))
train_loader = DataLoader(train, batch_size=32)  # expect: unshuffled-data
test_loader = DataLoader(test, batch_size=100)

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()

for epoch in range(8):
    model.train()
    running = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in test_loader:
            out = model(x)
            criterion(out, y)
            right += (out.argmax(1) == y).sum().item()
    print(f"epoch {epoch} train loss {running / len(train_loader):.4f} test accuracy {right / len(test):.4f}")
