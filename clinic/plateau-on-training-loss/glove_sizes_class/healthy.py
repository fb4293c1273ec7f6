"""Recommends glove sizes from hand measures with a small class around training."""

import torch
import torch.nn as nn


class Recommender:
    def __init__(self, measures, sizes, seed=0):
        torch.manual_seed(seed)
        self.x, self.y = measures, sizes
        self.net = nn.Sequential(nn.Linear(6, 50), nn.ReLU(), nn.Dropout(0.1), nn.Linear(50, 5))
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, patience=4, factor=0.3)
        self.criterion = nn.CrossEntropyLoss()

    def train_epoch(self, rows):
        self.net.train()
        mean = 0.0
        batches = rows[torch.randperm(len(rows))].split(50)
        for batch in batches:
            self.optimizer.zero_grad()
            loss = self.criterion(self.net(self.x[batch]), self.y[batch])
            loss.backward()
            self.optimizer.step()
            mean += loss.item() / len(batches)
        return mean

    @torch.no_grad()
    def check(self, rows):
        self.net.eval()
        return self.criterion(self.net(self.x[rows]), self.y[rows]).item()

    def fit(self, epochs=14):
        rows = torch.arange(len(self.x))
        for epoch in range(epochs):
            training = self.train_epoch(rows[:1000])
            held_out = self.check(rows[1000:])
            self.scheduler.step(held_out)
            print(epoch, round(training, 4), round(held_out, 4))


if __name__ == "__main__":
    generator = torch.Generator().manual_seed(2)
    measures = torch.randn(1300, 6, generator=generator)
    sizes = torch.bucketize(measures[:, :4].sum(1) + 0.3 * measures[:, 4] ** 2, torch.tensor([-2.0, -0.6, 0.7, 2.2]))
    Recommender(measures, sizes).fit()
