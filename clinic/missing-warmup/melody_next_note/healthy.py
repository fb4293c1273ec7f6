"""Next-note model for tunes in which each bar repeats the one before, a few steps higher."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

NOTES, BAR = 20, 6


def tunes(batch, generator):
    bar = torch.randint(0, NOTES, (batch, BAR), generator=generator)
    shift = torch.randint(1, 4, (batch, 1), generator=generator)
    return torch.cat([(bar + i * shift) % NOTES for i in range(3)], dim=1)


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.attend = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm1 = nn.LayerNorm(dim)
        self.mix = nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x, mask):
        x = self.norm1(x + self.attend(x, x, x, attn_mask=mask, need_weights=False)[0])
        return self.norm2(x + self.mix(x))


class TuneModel(nn.Module):
    def __init__(self, dim, heads, depth):
        super().__init__()
        self.note = nn.Embedding(NOTES, dim)
        self.place = nn.Parameter(0.5 * torch.randn(3 * BAR, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.head = nn.Linear(dim, NOTES)

    def forward(self, notes):
        length = notes.shape[1]
        mask = torch.triu(torch.full((length, length), float("-inf")), diagonal=1)
        x = self.note(notes) + self.place[:length]
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    torch.manual_seed(17)
    generator = torch.Generator().manual_seed(2)
    model = TuneModel(dim=64, heads=4, depth=5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.98))
    model.train()
    for step in range(args.steps):
        for group in optimizer.param_groups:
            group["lr"] = args.lr * min(1.0, (step + 1) / 90)
        notes = tunes(32, generator)
        logits = model(notes[:, :-1])
        loss = F.cross_entropy(logits[:, BAR - 1 :].reshape(-1, NOTES), notes[:, BAR:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
