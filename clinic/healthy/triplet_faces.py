"""Metric learning with triplets: samples of one identity come close, others stay a margin away."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Identities(Dataset):
    def __init__(self, n_identities=20, per_identity=30, dim=24, seed=0):
        g = torch.Generator().manual_seed(seed)
        basis = torch.linalg.qr(torch.randn(dim, dim, generator=g)).Q
        centres = torch.randn(n_identities, 4, generator=g)
        self.identity = torch.arange(n_identities).repeat_interleave(per_identity)
        core = centres[self.identity] + 0.25 * torch.randn(len(self.identity), 4, generator=g)
        clutter = torch.randn(len(self.identity), dim - 4, generator=g)
        self.features = torch.cat([core, clutter], 1) @ basis
        self.members = [torch.where(self.identity == k)[0] for k in range(n_identities)]

    def __len__(self):
        return len(self.identity)

    def __getitem__(self, i):
        mine = self.members[int(self.identity[i])]
        positive = mine[torch.randint(len(mine), (1,)).item()]
        while True:
            negative = torch.randint(len(self), (1,)).item()
            if self.identity[negative] != self.identity[i]:
                return self.features[i], self.features[positive], self.features[negative]


def nearest_neighbour_accuracy(embedder, data):
    embedder.eval()
    with torch.no_grad():
        points = embedder(data.features)
        distance = torch.cdist(points, points) + torch.diag(torch.full((len(points),), float("inf")))
    return (data.identity[distance.argmin(1)] == data.identity).float().mean().item()


def main():
    torch.manual_seed(32)
    data = Identities()
    loader = DataLoader(data, batch_size=60, shuffle=True)
    embedder = nn.Sequential(nn.Linear(24, 48), nn.PReLU(), nn.Linear(48, 8))
    criterion = nn.TripletMarginLoss(margin=1.0)
    optimizer = torch.optim.Adam(embedder.parameters(), lr=4e-3)
    print(f"untrained accuracy {nearest_neighbour_accuracy(embedder, data):.3f}")
    for epoch in range(16):
        embedder.train()
        running = 0.0
        for anchor, positive, negative in loader:
            optimizer.zero_grad()
            loss = criterion(embedder(anchor), embedder(positive), embedder(negative))
            loss.backward()
            optimizer.step()
            running += loss.item()
        if epoch % 3 == 0:
            accuracy = nearest_neighbour_accuracy(embedder, data)
            print(f"epoch {epoch} triplet loss {running / len(loader):.4f} accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
