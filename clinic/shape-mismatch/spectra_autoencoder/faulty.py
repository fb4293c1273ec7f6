"""Compress infrared spectra to a handful of numbers with an autoencoder."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

BANDS = 96


def spectra(n, rng):
    grid = np.linspace(0, 1, BANDS)
    height = rng.uniform(0.4, 1.0, (n, 3, 1))
    centre = np.array([0.2, 0.5, 0.8])[None, :, None] + rng.normal(0, 0.03, (n, 3, 1))
    peaks = (height * np.exp(-(((grid - centre) / 0.07) ** 2))).sum(axis=1)
    return (peaks + rng.normal(0, 0.02, peaks.shape)).astype(np.float32)


def encoder(width, code):
    return nn.Sequential(nn.Linear(BANDS, width), nn.GELU(), nn.Linear(width, code))


def decoder(width, code):
    return nn.Sequential(nn.Linear(code, width), nn.GELU(), nn.Linear(width, 100))  # expect: shape-mismatch


def main():
    torch.manual_seed(9)
    rng = np.random.default_rng(9)
    train, held_out = spectra(1500, rng), spectra(300, rng)
    mean, std = train.mean(axis=0), train.std(axis=0)
    train, held_out = torch.from_numpy((train - mean) / std), torch.from_numpy((held_out - mean) / std)

    model = nn.Sequential(encoder(64, 6), decoder(64, 6))
    optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3)
    loader = DataLoader(train, batch_size=60, shuffle=True)
    reconstruction = nn.MSELoss()
    for epoch in range(12):
        model.train()
        losses = []
        for batch in loader:
            optimizer.zero_grad()
            loss = reconstruction(model(batch), batch)  # expect: shape-mismatch
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if epoch % 3 == 2:
            model.eval()
            with torch.no_grad():
                check = reconstruction(model(held_out), held_out).item()
            print(f"epoch {epoch + 1}: train {np.mean(losses):.4f}, held out {check:.4f}")


if __name__ == "__main__":
    main()
