# Denoising autoencoder for the lab's spectra. Loss = reconstruction + smoothness.
from dataclasses import dataclass

import torch
from torch import nn, Tensor
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Setup:
    bins: int = 64
    latent: int = 8
    n: int = 2000
    epochs: int = 10
    batch: int = 40
    lr: float = 1e-3
    smooth: float = 0.01


def spectra(n: int, bins: int, gen: torch.Generator) -> Tensor:
    grid = torch.linspace(0, 1, bins)
    out = torch.zeros(n, bins)
    for _ in range(2):
        c = torch.rand(n, 1, generator=gen)
        w = 0.03 + 0.05 * torch.rand(n, 1, generator=gen)
        out += torch.exp(-((grid - c) / w) ** 2)
    return (out - 0.25) / 0.4


class DAE(nn.Module):
    def __init__(self, s: Setup):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(s.bins, 64), nn.GELU(), nn.Linear(64, s.latent))
        self.dec = nn.Sequential(nn.Linear(s.latent, 64), nn.GELU(), nn.Linear(64, s.bins))

    def encode(self, x: Tensor) -> Tensor:
        z = self.enc(x)
        return z

    def forward(self, x: Tensor):
        with torch.no_grad():  # expect: detached-loss
            z = self.encode(x)
        return self.dec(z), z


def criterion(rec: Tensor, clean: Tensor, s: Setup) -> Tensor:
    fit = (rec - clean).pow(2).mean()
    rough = (rec[:, 1:] - rec[:, :-1]).pow(2).mean()
    return fit + s.smooth * rough


def main() -> None:
    s = Setup()
    torch.manual_seed(77)
    gen = torch.Generator().manual_seed(77)
    clean, held = spectra(s.n, s.bins, gen), spectra(400, s.bins, gen)
    loader = DataLoader(TensorDataset(clean), s.batch, shuffle=True)
    held_noisy = held + 0.3 * torch.randn(held.shape, generator=gen)
    net = DAE(s)
    opt = torch.optim.AdamW(net.parameters(), lr=s.lr)
    for ep in range(s.epochs):
        net.train()
        tot = 0.0
        for (x,) in loader:
            rec, _ = net(x + 0.3 * torch.randn_like(x))
            loss = criterion(rec, x, s)
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item()
        net.eval()
        with torch.no_grad():
            rec, _ = net(held_noisy)
            val = (rec - held).pow(2).mean().item()
        print(f"epoch {ep} train {tot / len(loader):.4f} val mse {val:.4f} (variance {held.var().item():.3f})")


main()
