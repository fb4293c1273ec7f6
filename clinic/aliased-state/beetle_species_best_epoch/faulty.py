"""Trains a classifier of beetle measurements and delivers the weights of the best epoch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def measurements(count, generator):
    species = torch.randint(0, 6, (count,), generator=generator)
    centre = torch.randn(6, 14, generator=torch.Generator().manual_seed(77))
    return centre[species] + 0.9 * torch.randn(count, 14, generator=generator), species


def accuracy(model, data, species):
    model.eval()
    with torch.no_grad():
        return (model(data).argmax(1) == species).float().mean().item()


def fit(model, loader, held_out, epochs=20, lr=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    best_score, best_state = 0.0, None
    for epoch in range(epochs):
        model.train()
        for data, species in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data), species).backward()
            optimizer.step()
        score = accuracy(model, *held_out)
        if score > best_score:
            best_score = score
            best_state = model.state_dict()  # expect: aliased-state
        print(f"epoch {epoch:2d} accuracy {score:.4f}")
    model.load_state_dict(best_state)
    print(f"best {best_score:.4f}, delivered {accuracy(model, *held_out):.4f}")


if __name__ == "__main__":
    torch.manual_seed(10)
    generator = torch.Generator().manual_seed(5)
    loader = DataLoader(TensorDataset(*measurements(900, generator)), batch_size=30, shuffle=True)
    fit(nn.Sequential(nn.Linear(14, 48), nn.ReLU(), nn.Linear(48, 6)), loader, measurements(300, generator))
