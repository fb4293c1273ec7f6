"""Variational autoencoder of small stroke images with pixels between 0 and 1."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def strokes(n, size=10):
    """Soft straight strokes with a random angle and offset."""
    grid = torch.linspace(-1, 1, size)
    yy, xx = torch.meshgrid(grid, grid, indexing="ij")
    angle = torch.rand(n, 1, 1) * torch.pi
    offset = torch.rand(n, 1, 1) - 0.5
    distance = (torch.cos(angle) * xx + torch.sin(angle) * yy - offset).abs()
    return torch.exp(-((distance / 0.25) ** 2)).flatten(1)


class VAE(nn.Module):
    def __init__(self, pixels=100, hidden=96, latent=4):
        super().__init__()
        self.enc = nn.Linear(pixels, hidden)
        self.mu = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)
        self.dec = nn.Sequential(nn.Linear(latent, hidden), nn.GELU(), nn.Linear(hidden, pixels))

    def forward(self, x):
        h = F.gelu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.dec(z), mu, logvar


def elbo_terms(logits, x, mu, logvar):
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    kl = -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp()) / len(x)
    return reconstruction, kl


torch.manual_seed(2)
train_loader = DataLoader(TensorDataset(strokes(2000)), batch_size=50, shuffle=True)
test_images = strokes(400)
vae = VAE()
optimizer = torch.optim.Adam(vae.parameters(), lr=2e-3)

for epoch in range(1, 11):
    vae.train()
    rec_sum = kl_sum = 0.0
    for (x,) in train_loader:
        logits, mu, logvar = vae(x)
        rec, kl = elbo_terms(logits, x, mu, logvar)
        loss = rec + kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rec_sum += rec.item() * len(x)
        kl_sum += kl.item() * len(x)
    vae.eval()
    with torch.no_grad():
        logits, mu, logvar = vae(test_images)
        test = sum(elbo_terms(logits, test_images, mu, logvar)).item()
        mse = F.mse_loss(logits.sigmoid(), test_images).item()
    print(f"epoch {epoch}: rec {rec_sum / 2000:.2f} kl {kl_sum / 2000:.2f} | test {test:.2f} pixel mse {mse:.4f}")
