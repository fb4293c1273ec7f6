"""Variational autoencoder on gene-expression-like vectors."""
import argparse
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def cells(n, genes, gen):
    load = torch.randn(4, genes, generator=torch.Generator().manual_seed(0))
    z = torch.randn(n, 4, generator=gen)
    return torch.tanh(z @ load / 2) + 0.1 * torch.randn(n, genes, generator=gen)


class VAE(nn.Module):
    def __init__(self, genes, latent=6):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(genes, 64), nn.ReLU())
        self.mu = nn.Linear(64, latent)
        self.logvar = nn.Linear(64, latent)
        self.dec = nn.Sequential(nn.Linear(latent, 64), nn.ReLU(), nn.Linear(64, genes))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h).clamp(-6, 4)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar, z


def elbo(x, out, beta):
    rec, mu, logvar, z = out
    fit = (x - x.view_as(rec)).pow(2).sum(1).mean()  # expect: constant-loss
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
    return fit + beta * kl, fit, kl


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--genes", type=int, default=40)
    ap.add_argument("--beta", type=float, default=0.1)
    ap.add_argument("--epochs", type=int, default=12)
    a = ap.parse_args()
    torch.manual_seed(6)
    gen = torch.Generator().manual_seed(6)
    loader = DataLoader(TensorDataset(cells(2000, a.genes, gen)), batch_size=50, shuffle=True)
    held = cells(400, a.genes, gen)
    vae = VAE(a.genes)
    opt = torch.optim.Adam(vae.parameters(), lr=2e-3)
    for epoch in range(a.epochs):
        vae.train()
        tot = 0.0
        for (x,) in loader:
            loss, fit, kl = elbo(x, vae(x), a.beta)
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item()
        vae.eval()
        with torch.no_grad():
            rec = vae.dec(vae.mu(vae.enc(held)))
            r2 = 1 - (rec - held).pow(2).mean().item() / held.var().item()
        print(f"epoch {epoch} loss {tot / len(loader):.4f} kl {kl.item():.4f} held-out r2 {r2:.4f}")


main()
