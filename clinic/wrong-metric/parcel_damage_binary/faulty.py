"""Flags damaged parcels from scanner readings."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class Flagger(nn.Module):
    def __init__(self, inputs=14, hidden=40):
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, reading):
        return self.out(F.relu(self.hidden(reading)))


def validate(model, readings, damaged):
    model.eval()
    with torch.no_grad():
        logits = model(readings)
        flagged = logits.argmax(dim=1)  # expect: wrong-metric
        return (flagged == damaged.long().squeeze(1)).float().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    torch.manual_seed(3)
    readings = torch.randn(1500, 14)
    damaged = ((readings[:, 0] * readings[:, 1] + readings[:, 2]) > 0).float().unsqueeze(1)
    model = Flagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(args.epochs):
        model.train()
        for rows in torch.randperm(1200).split(40):
            loss = F.binary_cross_entropy_with_logits(model(readings[rows]), damaged[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}, accuracy {validate(model, readings[1200:], damaged[1200:]):.3f}")


main()
