"""Cars in a parking lot by the hour, a regression on counts divided by ten."""

import argparse

import torch
from torch import nn, optim


class Counter(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.stack = nn.Sequential(
            nn.Linear(6, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1)
        )

    def forward(self, x):
        return self.stack(x)


def observations(n):
    x = torch.randn(n, 6)
    expected = (0.9 + 0.4 * x[:, 0] + 0.3 * x[:, 1] - 0.2 * x[:, 2]).clamp(min=0)
    return x, torch.poisson(10 * expected).unsqueeze(1) / 10


def train(args):
    torch.manual_seed(args.seed)
    x, cars = observations(1500)
    model = Counter(args.hidden)
    criterion = nn.SmoothL1Loss()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    for step in range(1, args.steps + 1):
        rows = torch.randint(0, len(x), (64,))
        predicted = model(x[rows])
        loss = criterion(predicted, cars[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"{step:4d} loss {loss.item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seed", type=int, default=29)
    train(parser.parse_args())
