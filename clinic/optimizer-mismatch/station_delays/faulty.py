"""Will a train be late, from where it starts, where it ends and the hour; thousands of stations, few trips each."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim


def trips(n, stations, seed):
    rng = np.random.default_rng(seed)
    busy = rng.normal(size=stations)
    start, end = rng.integers(0, stations, (2, n))
    hour = rng.random(n)
    score = busy[start] + busy[end] + 0.5 * np.sin(2 * np.pi * hour)
    late = (score + 0.2 * rng.normal(size=n) > 0).astype(np.float32)
    ids = torch.from_numpy(np.stack([start, end], axis=1))
    return ids, torch.from_numpy(hour).float()[:, None], torch.from_numpy(late)


class DelayNet(nn.Module):
    def __init__(self, stations, width=16):
        super().__init__()
        self.station = nn.Embedding(stations, width)
        nn.init.uniform_(self.station.weight, -0.1, 0.1)
        self.layers = nn.Sequential(nn.Linear(2 * width + 1, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, ids, hour):
        return self.layers(torch.cat([self.station(ids).flatten(1), hour], dim=1)).squeeze(1)


def fit(net, optimiser, data, epochs, batch):
    ids, hour, late = data
    for epoch in range(epochs):
        losses = []
        for rows in torch.randperm(len(late)).split(batch):
            loss = F.binary_cross_entropy_with_logits(net(ids[rows], hour[rows]), late[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        print(f"{epoch + 1}: {np.mean(losses):.4f}")


if __name__ == "__main__":
    torch.manual_seed(2)
    stations = 2500
    net = DelayNet(stations)
    optimiser = optim.SGD(net.parameters(), lr=0.1)  # expect: optimizer-mismatch
    fit(net, optimiser, trips(12000, stations, seed=3), epochs=6, batch=256)
