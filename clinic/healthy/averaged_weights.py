"""Noisy-target regression evaluated with an exponential moving average of the weights."""

import copy

import torch
import torch.nn as nn


class Average:
    """Keeps a shadow copy of a model that follows it slowly."""

    def __init__(self, model, decay):
        self.shadow = copy.deepcopy(model).eval()
        self.decay = decay
        for parameter in self.shadow.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def follow(self, model):
        for mine, live in zip(self.shadow.parameters(), model.parameters()):
            mine.lerp_(live, 1 - self.decay)


def tide(n, generator):
    x = 2 * torch.rand(n, 3, generator=generator) - 1
    y = torch.cos(2.5 * x[:, 0]) * x[:, 1] + 0.6 * x[:, 2] + 0.2 * torch.randn(n, generator=generator)
    return x, y[:, None] / 0.6


def main():
    torch.manual_seed(19)
    generator = torch.Generator().manual_seed(20)
    x, y = tide(2000, generator)
    x_val, y_val = tide(600, generator)
    model = nn.Sequential(nn.Linear(3, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1))
    average = Average(model, decay=0.98)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    criterion = nn.MSELoss()
    for epoch in range(1, 16):
        model.train()
        squared = 0.0
        for rows in torch.randperm(len(x), generator=generator).split(50):
            loss = criterion(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.follow(model)
            squared += loss.item() * len(rows)
        model.eval()
        with torch.no_grad():
            live, smooth = criterion(model(x_val), y_val).item(), criterion(average.shadow(x_val), y_val).item()
        if epoch % 3 == 0:
            print(f"epoch {epoch}: train {squared / len(x):.4f} live val {live:.4f} averaged val {smooth:.4f}")


if __name__ == "__main__":
    main()
