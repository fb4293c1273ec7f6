"""Classifies leaf outlines of five species from radial profiles, with large effective batches."""

import argparse
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def outlines(count, generator):
    angle = torch.linspace(0, 2 * math.pi, 49)[:-1]
    species = torch.randint(0, 5, (count,), generator=generator)
    lobes = torch.tensor([2.0, 3.0, 4.0, 5.0, 7.0])[species]
    depth = 0.25 + 0.1 * torch.rand(count, 1, generator=generator)
    turn = 0.6 * torch.rand(count, 1, generator=generator)
    radius = 1 + depth * torch.cos(lobes[:, None] * (angle + turn)) + 0.12 * torch.randn(count, 48, generator=generator)
    return (radius - 1) / 0.25, species


class Trainer:
    def __init__(self, options):
        self.options = options
        generator = torch.Generator().manual_seed(11)
        self.train_loader = DataLoader(TensorDataset(*outlines(1900, generator)), options.batch, shuffle=True)
        self.held_out = outlines(500, generator)
        self.net = nn.Sequential(nn.Linear(48, 80), nn.ReLU(), nn.Linear(80, 40), nn.ReLU(), nn.Linear(40, 5))
        self.optim = torch.optim.Adam(self.net.parameters(), lr=options.lr)
        self.every = options.effective // options.batch

    def epoch(self):
        self.net.train()
        self.optim.zero_grad()
        running = 0.0
        for number, (profile, species) in enumerate(self.train_loader):
            loss = nn.functional.cross_entropy(self.net(profile), species)
            (loss / self.every).backward()
            running += loss.item()
            if (number + 1) % self.every == 0:  # expect: broken-accumulation
                self.optim.step()
                self.optim.zero_grad()
        return running / len(self.train_loader)

    @torch.no_grad()
    def accuracy(self):
        self.net.eval()
        profile, species = self.held_out
        return (self.net(profile).argmax(1) == species).float().mean().item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--effective", type=int, default=640)
    parser.add_argument("--lr", type=float, default=4e-3)
    options = parser.parse_args()
    torch.manual_seed(3)
    trainer = Trainer(options)
    for epoch in range(options.epochs):
        loss = trainer.epoch()
        print(f"{epoch + 1:3d}  loss {loss:.4f}  accuracy {trainer.accuracy():.3f}")
