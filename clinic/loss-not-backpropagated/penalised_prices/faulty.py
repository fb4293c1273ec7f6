"""Flat prices from nine figures, with a squared penalty on the weights."""

import torch
from torch import nn


class PriceNet(nn.Module):
    def __init__(self, inputs=9, hidden=40):
        super().__init__()
        self.inner = nn.Linear(inputs, hidden)
        self.outer = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.outer(torch.relu(self.inner(x))).squeeze(1)


def flats(n, generator):
    x = torch.randn(n, 9, generator=generator)
    price = 0.9 * x[:, 0] + 0.5 * x[:, 1] * x[:, 2] - 0.7 * x[:, 4].abs() + 0.5
    return x, price + 0.1 * torch.randn(n, generator=generator)


def main():
    torch.manual_seed(52)
    generator = torch.Generator().manual_seed(52)
    x, price = flats(1000, generator)
    model = PriceNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(15):
        order = torch.randperm(len(x), generator=generator)
        total = 0.0
        for rows in order.split(50):
            fit = nn.functional.mse_loss(model(x[rows]), price[rows])
            penalty = 1e-4 * sum(p.square().sum() for p in model.parameters())
            objective = fit + penalty
            optimizer.zero_grad()
            penalty.backward()  # expect: loss-not-backpropagated
            optimizer.step()
            total += fit.item()
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1}: squared error {total / 20:.4f}, objective {objective.item():.4f}")


main()
