"""Siamese network that tells whether two short melodies are the same tune played in another key."""

import torch
import torch.nn as nn
import torch.nn.functional as F

rng = torch.Generator().manual_seed(10)
TUNES = torch.randint(0, 12, (40, 8), generator=rng)


def perform(tune):
    """A tune moved to a random key, with a little detuning."""
    shift = torch.randint(-5, 6, (len(tune), 1), generator=rng)
    return (tune + shift).float() + 0.1 * torch.randn(tune.shape, generator=rng)


def pairs(n):
    left = torch.randint(0, len(TUNES), (n,), generator=rng)
    other = torch.randint(1, len(TUNES), (n,), generator=rng)
    same = torch.randint(0, 2, (n,), generator=rng)
    right = torch.where(same == 1, left, (left + other) % len(TUNES))
    return (perform(TUNES[left]) - 5.5) / 4.7, (perform(TUNES[right]) - 5.5) / 4.7, same.float()


class Twin(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6))

    def embed(self, x):
        return self.features(x)

    def forward(self, a, b):
        return F.pairwise_distance(self.embed(a), self.embed(b))


def contrastive_loss(distance, same, margin=1.5):
    return (same * distance.pow(2) + (1 - same) * (margin - distance).clamp(min=0).pow(2)).mean()


def main():
    torch.manual_seed(10)
    twin = Twin()
    optimizer = torch.optim.Adam(twin.parameters(), lr=2e-3, weight_decay=1e-5)
    a_test, b_test, same_test = pairs(800)
    for step in range(1, 501):
        twin.train()
        a, b, same = pairs(64)
        loss = contrastive_loss(twin(a, b), same)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            twin.eval()
            with torch.no_grad():
                distance = twin(a_test, b_test)
                accuracy = ((distance < 0.75) == same_test.bool()).float().mean().item()
                held_out = contrastive_loss(distance, same_test).item()
            print(f"step {step}: batch loss {loss.item():.4f} held-out loss {held_out:.4f} accuracy {accuracy:.3f}")


main()
