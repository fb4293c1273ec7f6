"""Learn a distance between pen signatures of six writers with pairs and a margin."""

import math

import torch
from torch import nn

WRITERS, POINTS = 6, 32


def sign(n, generator):
    """Pen height over time: a mixture of waves that is the writer's own, written a little differently each time."""
    own = torch.Generator().manual_seed(999)
    strength = torch.randn(WRITERS, 4, generator=own)
    writer = torch.randint(0, WRITERS, (n,), generator=generator)
    time = torch.linspace(0, 2 * math.pi, POINTS)
    waves = torch.stack([torch.sin((k + 1) * time) for k in range(4)])
    trace = (strength[writer] + 0.2 * torch.randn(n, 4, generator=generator)) @ waves
    return trace / 2**0.5 + 0.3 * torch.randn(n, POINTS, generator=generator), writer


class PairSampler:
    """Half of the pairs come from one writer, half from two."""

    def __init__(self, trace, writer, generator):
        self.trace, self.generator = trace, generator
        self.by_writer = [torch.nonzero(writer == w).flatten() for w in range(WRITERS)]

    def pick(self, w):
        rows = self.by_writer[w]
        return rows[torch.randint(0, len(rows), (1,), generator=self.generator)]

    def batch(self, size):
        left, right, same = [], [], []
        for i in range(size):
            a, b = torch.randperm(WRITERS, generator=self.generator)[:2].tolist()
            b = a if i % 2 == 0 else b
            left.append(self.pick(a))
            right.append(self.pick(b))
            same.append(float(a == b))
        return self.trace[torch.cat(left)], self.trace[torch.cat(right)], torch.tensor(same)


def distance(a, b):
    return torch.sqrt(((a - b) ** 2).sum(dim=1) + 1e-8)


def contrastive(d, same, margin=2.0):
    return (same * d**2 + (1 - same) * torch.relu(margin - d) ** 2).mean()


def main():
    torch.manual_seed(27)
    generator = torch.Generator().manual_seed(27)
    trace, writer = sign(1500, generator)
    new_trace, new_writer = sign(600, generator)
    mean, std = trace.mean(0), trace.std(0)
    trace, new_trace = (trace - mean) / std, (new_trace - mean) / std
    pairs, new_pairs = PairSampler(trace, writer, generator), PairSampler(new_trace, new_writer, generator)

    embed = nn.Sequential(nn.Linear(POINTS, 48), nn.ReLU(), nn.Linear(48, 8))
    optimizer = torch.optim.Adam(embed.parameters(), lr=1e-3)
    for step in range(301):
        left, right, same = pairs.batch(32)
        loss = contrastive(distance(embed(left), embed(right)), same)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            embed.eval()
            with torch.no_grad():
                left, right, same = new_pairs.batch(200)
                d = distance(embed(left), embed(right))
                verified = ((d < 1.0).float() == same).float().mean().item()
            embed.train()
            print(f"step {step:3d} loss {loss.item():.4f} verified {verified:.3f}")


if __name__ == "__main__":
    main()
