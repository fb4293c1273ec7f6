"""Land cover from six satellite bands, trained on one survey and checked on another."""

import csv
import io
import random

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

COVER = {1: "water", 2: "forest", 3: "meadow", 4: "field", 5: "built-up"}
SIGNATURE = {
    1: (-1.4, -1.1, -0.9, -1.3, -1.0, -0.8),
    2: (-0.8, -0.2, -0.9, 1.2, 0.1, -0.6),
    3: (-0.1, 0.6, -0.2, 1.3, 0.7, 0.0),
    4: (0.6, 0.7, 0.8, 0.2, 0.9, 0.7),
    5: (1.2, 0.9, 1.1, -0.4, 0.4, 1.3),
}


def survey(n_rows, seed):
    """The survey's export, as text."""
    rnd = random.Random(seed)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["b1", "b2", "b3", "b4", "b5", "b6", "cover"])
    for _ in range(n_rows):
        code = rnd.choice(list(COVER))
        writer.writerow([f"{rnd.gauss(m, 0.42):.4f}" for m in SIGNATURE[code]] + [code])
    return text.getvalue()


def parse(text):
    bands, cover = [], []
    for row in csv.DictReader(io.StringIO(text)):
        bands.append([float(row[f"b{k}"]) for k in range(1, 7)])
        cover.append(int(row["cover"]))  # expect: labels-out-of-range
    return TensorDataset(torch.tensor(bands), torch.tensor(cover))  # expect: labels-out-of-range


def fit(model, dataset, epochs):
    loader = DataLoader(dataset, batch_size=32, shuffle=True)
    optimizer = optim.Adagrad(model.parameters(), lr=0.05)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for bands, cover in loader:
            optimizer.zero_grad()
            loss = criterion(model(bands), cover)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(cover)
        print(f"epoch {epoch + 1}: {total / len(dataset):.4f}")


@torch.no_grad()
def report(model, dataset):
    model.eval()
    bands, cover = dataset.tensors
    predicted = model(bands).argmax(dim=1)
    print(f"accuracy on the second survey: {(predicted == cover).float().mean():.3f}")


if __name__ == "__main__":
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, len(COVER)))
    fit(model, parse(survey(1600, seed=70)), epochs=8)
    report(model, parse(survey(400, seed=71)))
