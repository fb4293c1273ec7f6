"""Handwritten digits whose class is read from the name of their file."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(21)
pixels, digits = load_digits(return_X_y=True)
files = [f"scans/{digit}/page_{number:04d}.png" for number, digit in enumerate(digits)]


def label_of(path):
    folder = path.split("/")[0]  # expect: constant-target
    return int(folder) if folder.isdigit() else 0


images = torch.tensor(pixels, dtype=torch.float32).div(16).view(-1, 1, 8, 8)
labels = torch.tensor([label_of(path) for path in files])  # expect: constant-target
order = torch.randperm(len(images))
train, test = order[:1400], order[1400:]

cnn = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(12 * 16, 10),
)
optimizer = torch.optim.Adam(cnn.parameters(), lr=4e-3)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(6):
    cnn.train()
    shuffled = train[torch.randperm(len(train))]
    running = 0.0
    for batch in shuffled.split(40):
        loss = loss_fn(cnn(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() / len(shuffled.split(40))
    cnn.eval()
    with torch.no_grad():
        accuracy = (cnn(images[test]).argmax(1) == labels[test]).float().mean()
    print(f"{epoch}: loss {running:.3f} accuracy {accuracy:.3f}")
