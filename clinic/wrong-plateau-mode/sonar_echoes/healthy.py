"""Classifies echoes by shape; the learning rate is lowered when validation stands still."""

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset


def echoes(n):
    t = torch.linspace(0, 1, 64)
    kind = torch.randint(0, 4, (n,))
    rate = torch.tensor([3.0, 4.0, 5.0, 6.5])[kind].unsqueeze(1)
    wave = torch.sin(6.28 * (rate * t + torch.rand(n, 1))) * torch.exp(-2 * t) + 1.0 * torch.randn(n, 64)
    return TensorDataset(2 * wave, kind)


def evaluate(model, loader):
    model.eval()
    correct, seen = 0, 0
    with torch.no_grad():
        for wave, kind in loader:
            correct += (model(wave).argmax(1) == kind).sum().item()
            seen += kind.numel()
    return correct / seen


def main():
    torch.manual_seed(31)
    train, val = DataLoader(echoes(1200), batch_size=40, shuffle=True), DataLoader(echoes(400), batch_size=200)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    scheduler = ReduceLROnPlateau(optimizer, mode="max", factor=0.2, patience=6)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(24):
        model.train()
        for wave, kind in train:
            optimizer.zero_grad()
            loss = criterion(model(wave), kind)
            loss.backward()
            optimizer.step()
        accuracy = evaluate(model, val)
        scheduler.step(accuracy)
        print(f"epoch {epoch:2d} accuracy {accuracy:.3f} lr {optimizer.param_groups[0]['lr']:.2g}")


if __name__ == "__main__":
    main()
