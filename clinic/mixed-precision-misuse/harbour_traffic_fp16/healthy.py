"""Forecasts harbour traffic in mixed precision, with gradient clipping."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make_loader():
    generator = torch.Generator().manual_seed(3)
    history = torch.randn(1280, 12, generator=generator)
    target = (0.8 * history[:, -1:] - 0.5 * history[:, -2:-1] + torch.tanh(history[:, :1])) / 1.2
    return DataLoader(TensorDataset(history, target), batch_size=64, shuffle=True)


def main(epochs=8):
    torch.manual_seed(0)
    loader = make_loader()
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    criterion = nn.MSELoss()
    for epoch in range(epochs):
        total = 0.0
        for history, target in loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                prediction = model(history)
                loss = criterion(prediction.float(), target)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            total += loss.item() / len(loader)
        print(f"epoch {epoch} loss {total:.4f}")


if __name__ == "__main__":
    main()
