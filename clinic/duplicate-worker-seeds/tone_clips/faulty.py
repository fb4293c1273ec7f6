import argparse
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--seed", type=int, default=123)
args = parser.parse_args()


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def init_worker(worker_id):
    np.random.seed(args.seed)  # expect: duplicate-worker-seeds


class Tones(Dataset):
    """A few clean recordings; noise, delay and gain are drawn when an item is read."""

    def __init__(self, clips, labels):
        self.clips, self.labels = clips, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        clip = np.roll(self.clips[i], np.random.randint(0, 48))
        clip = clip * np.random.uniform(0.5, 1.5) + 0.9 * np.random.randn(48)
        return clip.astype(np.float32), self.labels[i]


def clips(n, rng):
    y = rng.integers(0, 6, n)
    t = np.arange(48)
    cycles = np.array([2, 3, 4, 5, 6, 7])[y][:, None]
    return np.sin(2 * np.pi * cycles * t / 48) + 0.3 * np.sin(4 * np.pi * cycles * t / 48), y


seed_everything(args.seed)
rng = np.random.default_rng(1)
train = DataLoader(Tones(*clips(100, rng)), batch_size=10, shuffle=True, num_workers=args.workers, worker_init_fn=init_worker)
raw, yv = clips(500, rng)
xv = np.stack([np.roll(c, rng.integers(0, 48)) * rng.uniform(0.5, 1.5) for c in raw]) + 0.9 * rng.normal(size=raw.shape)
xv, yv = torch.tensor(xv, dtype=torch.float32), torch.tensor(yv)
model = nn.Sequential(nn.Linear(48, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 6))
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(args.epochs):
    model.train()
    total = 0.0
    for x, y in train:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        out = model(xv)
    print(f"epoch {epoch} train {total / len(train):.4f} val {nn.functional.cross_entropy(out, yv):.4f} acc {(out.argmax(1) == yv).float().mean():.4f}")
