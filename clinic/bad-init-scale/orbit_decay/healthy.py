"""Regress the decay of an orbit on eight elements with a hand-initialised network."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def init(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        module.bias.data.zero_()


class DecayNet(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, width)])
        self.out = nn.Linear(width, 1)
        self.apply(init)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.out(x)


def main():
    torch.manual_seed(19)
    x = torch.randn(2000, 8)
    y = (x[:, :1] * x[:, 1:2] + x[:, 2:3].sin() * 1.5 - 0.5 * x[:, 3:4]) / 1.5
    loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)
    model = DecayNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(12):
        total = 0.0
        for xb, yb in loader:
            loss = nn.functional.mse_loss(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
        print(f"epoch {epoch} mse {total / len(x):.4f}")


main()
