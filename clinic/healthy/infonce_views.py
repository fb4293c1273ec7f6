"""Contrastive learning of two noisy views of the same signal, with every other item of the batch as a negative."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(70)
N_LATENT = 6
lift = torch.randn(N_LATENT, 40) / N_LATENT**0.5


def two_views(latent):
    clean = torch.tanh(latent @ lift)
    return clean + 0.3 * torch.randn_like(clean), clean + 0.3 * torch.randn_like(clean)


class Encoder(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.projector = nn.Linear(64, dim)

    def forward(self, x):
        return F.normalize(self.projector(self.backbone(x)), dim=1)


def info_nce(a, b, temperature=0.2):
    logits = a @ b.T / temperature
    own = torch.arange(len(a))
    return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))


@torch.no_grad()
def retrieval(encoder, n=256):
    encoder.eval()
    a, b = two_views(torch.randn(n, N_LATENT))
    nearest = (encoder(a) @ encoder(b).T).argmax(1)
    encoder.train()
    return (nearest == torch.arange(n)).float().mean().item()


latents = torch.randn(2048, N_LATENT)
encoder = Encoder()
optimizer = torch.optim.Adam(encoder.parameters(), lr=2e-3)
print(f"before: retrieval {retrieval(encoder):.3f}")
for epoch in range(1, 13):
    total = 0.0
    batches = torch.randperm(2048).split(128)
    for index in batches:
        first, second = two_views(latents[index])
        loss = info_nce(encoder(first), encoder(second))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(batches):.4f} retrieval {retrieval(encoder):.3f}")
