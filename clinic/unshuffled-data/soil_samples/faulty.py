"""Acidity of soil from its spectrum, samples filed by acidity in the archive."""

import torch
import torch.nn.functional as F

torch.manual_seed(14)
N, BANDS, BATCH = 1000, 20, 25


class Soil(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(BANDS, 32)
        self.last = torch.nn.Linear(32, 1)

    def forward(self, spectrum):
        return self.last(torch.tanh(self.first(spectrum))).flatten()


def archive():
    spectrum = torch.randn(N, BANDS)
    acidity = spectrum[:, :6].sum(1) / 6**0.5 + 0.1 * torch.randn(N)
    filed = acidity.argsort()
    return spectrum[filed], acidity[filed]


spectrum, acidity = archive()
net = Soil()
optimizer = torch.optim.SGD(net.parameters(), lr=0.2)
for epoch in range(12):
    total = 0.0
    for start in range(0, N, BATCH):  # expect: unshuffled-data
        batch = slice(start, start + BATCH)
        loss = F.mse_loss(net(spectrum[batch]), acidity[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * BATCH / N
    with torch.no_grad():
        print(f"{epoch:2d} {total:.4f} {F.mse_loss(net(spectrum), acidity):.4f}")
