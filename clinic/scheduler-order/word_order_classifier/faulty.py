"""Decides whether a token sequence is in ascending order of importance, with step decay."""

import argparse

import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR


class Bag(nn.Module):
    def __init__(self, tokens, width, classes):
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.mix = nn.Linear(width, width)
        self.out = nn.Linear(width, classes)

    def forward(self, ids):
        return self.out(torch.relu(self.mix(self.embed(ids).mean(1))))


def sentences(count, tokens=60, length=12):
    topic = torch.randint(0, 6, (count,))
    common = torch.randint(0, tokens, (count, length))
    own = topic[:, None] * 10 + torch.randint(0, 10, (count, length))
    return torch.where(torch.rand(count, length) < 0.35, own, common), topic


def fit(args):
    torch.manual_seed(args.seed)
    ids, topic = sentences(2000)
    model = Bag(60, 32, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=5, gamma=0.5)
    for epoch in range(args.epochs):
        hits, total = 0, 0.0
        for rows in torch.randperm(2000).split(args.batch):
            scores = model(ids[rows])
            loss = nn.functional.cross_entropy(scores, topic[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()  # expect: scheduler-order
            total += loss.item() * len(rows)
            hits += (scores.argmax(-1) == topic[rows]).sum().item()
        print("epoch %2d  loss %.3f  acc %.3f" % (epoch + 1, total / 2000, hits / 2000))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=12)
    fit(parser.parse_args())
