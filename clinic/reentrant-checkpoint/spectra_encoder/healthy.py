"""Estimate moisture from spectra; the convolutional encoder is checkpointed to save memory."""

import torch
import torch.utils.checkpoint as cp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv1d(1, 8, 7, stride=2, padding=3), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv1d(8, 16, 5, stride=2, padding=2), nn.ReLU())

    def forward(self, x):
        x = cp.checkpoint(self.stage1, x, use_reentrant=False)
        return self.stage2(x).flatten(1)


class MoistureModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(16 * 16, 1)

    def forward(self, spectrum):
        return self.head(self.encoder(spectrum.unsqueeze(1))).squeeze(1)


def measure(n):
    axis = torch.linspace(-1, 1, 64)
    depth, place = torch.rand(n, 1), torch.rand(n, 1) - 0.5
    spectrum = -depth * torch.exp(-(((axis - place) / 0.15) ** 2)) + 0.05 * torch.randn(n, 64)
    return spectrum * 4, (depth.squeeze(1) - 0.5) * 3.4


def main():
    torch.manual_seed(27)
    loader = DataLoader(TensorDataset(*measure(1500)), batch_size=50, shuffle=True)
    model = MoistureModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for epoch in range(6):
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")


main()
