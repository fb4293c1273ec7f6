"""Which of five gears is worn, from a spectrum of the gearbox; the recordings overlap."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Spectra(Dataset):
    def __init__(self, n, generator):
        self.gear = torch.randint(0, 5, (n,), generator=generator)
        peaks = 0.5 * F.one_hot(self.gear, 5).float().repeat(1, 12)
        self.spectrum = peaks + torch.randn(n, 60, generator=generator)

    def __len__(self):
        return len(self.gear)

    def __getitem__(self, index):
        return self.spectrum[index], self.gear[index]


class GearNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(60)
        self.out = nn.Linear(60, 5)

    def forward(self, x):
        return self.out(self.norm(x))


class Experiment:
    def __init__(self, lr):
        self.net = GearNet()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=lr)  # expect: constant-lr-plateau

    def epoch(self, loader):
        self.net.train()
        running = 0.0
        for spectrum, gear in loader:
            self.opt.zero_grad()
            loss = F.cross_entropy(self.net(spectrum), gear)
            loss.backward()
            self.opt.step()
            running += loss.item()
        return running / len(loader)


def main():
    torch.manual_seed(8)
    data = Spectra(4000, torch.Generator().manual_seed(1))
    loader = DataLoader(data, batch_size=16, shuffle=True)
    experiment = Experiment(lr=0.8)
    for epoch in range(8):
        print(f"epoch {epoch + 1} loss {experiment.epoch(loader):.4f}")


if __name__ == "__main__":
    main()
