"""A two-block decoder on strings over a small alphabet; the data set hands out inputs and labels."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(19)
LETTERS, BLOCK, DIM = 12, 24, 32
follow = torch.randint(0, LETTERS, (LETTERS, LETTERS))


def text(n):
    letters = [torch.randint(0, LETTERS, (n,)), torch.randint(0, LETTERS, (n,))]
    for _ in range(BLOCK - 1):
        noise = torch.rand(n) < 0.12
        letters.append(torch.where(noise, torch.randint(0, LETTERS, (n,)), follow[letters[-2], letters[-1]]))
    return torch.stack(letters, 1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.attn = nn.MultiheadAttention(DIM, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM))

    def forward(self, x):
        t = x.shape[1]
        mask = torch.triu(torch.ones(t, t, dtype=torch.bool), diagonal=1)
        h = self.ln1(x)
        x = x + self.attn(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln2(x))


class TinyGPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(LETTERS, DIM)
        self.pos = nn.Embedding(BLOCK + 1, DIM)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.ln = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, LETTERS)

    def forward(self, ids, labels):
        x = self.tok(ids) + self.pos(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.ln(x))
        loss = F.cross_entropy(logits.reshape(-1, LETTERS), labels.reshape(-1))
        return logits, loss


strings = text(1200)
inputs, labels = strings[:, :-1], strings[:, 1:]
model = TinyGPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
for step in range(180):
    rows = torch.randint(0, 1000, (32,))
    logits, loss = model(inputs[rows], labels[rows])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        with torch.no_grad():
            print(step + 1, f"train {loss.item():.3f} held out {model(inputs[1000:], labels[1000:])[1].item():.3f}")
