"""Estimates the weight of machined parts from their measures, batch by batch to save memory."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def parts(count):
    measures = torch.rand(count, 6) * 2 - 1
    volume = measures[:, 0] * measures[:, 1] + 0.8 * measures[:, 2] - 0.5 * measures[:, 3] ** 2 + 0.3 * measures[:, 4]
    weight = (volume - volume.mean()) / volume.std() + 0.05 * torch.randn(count)
    return TensorDataset(measures * 1.7, weight.unsqueeze(1))


def main(windows=16, lr=0.2):
    torch.manual_seed(5)
    loader = DataLoader(parts(2048), batch_size=8, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for epoch in range(14):
        losses = []
        for i, (measures, weight) in enumerate(loader):
            loss = criterion(model(measures), weight)
            losses.append(loss.item())
            loss.backward()  # expect: broken-accumulation
            if (i + 1) % windows == 0:
                optimizer.step()
                optimizer.zero_grad()
        print(f"epoch {epoch} mse {sum(losses) / len(losses):.4f}")


if __name__ == "__main__":
    main()
