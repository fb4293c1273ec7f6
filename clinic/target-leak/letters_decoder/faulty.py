"""Next letter in synthetic text by a decoder with attention written out."""

import math

import torch
import torch.nn as nn
from torch.utils.data import DataLoader

torch.manual_seed(58)
LETTERS, LENGTH = 14, 20
pairs = torch.randint(0, LETTERS, (LETTERS, LETTERS))


def lines(n):
    out = torch.randint(0, LETTERS, (n, LENGTH + 1))
    for t in range(2, LENGTH + 1):
        keep = torch.rand(n) < 0.6
        out[keep, t] = pairs[out[keep, t - 2], out[keep, t - 1]]
    return out


class Attention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.register_buffer("past", torch.tril(torch.ones(LENGTH, LENGTH)).bool())

    def forward(self, x):
        d = x.shape[2]
        scores = self.q(x) @ self.k(x).transpose(1, 2) / math.sqrt(d)  # expect: target-leak
        return scores.softmax(dim=-1) @ self.v(x)  # expect: target-leak


class Decoder(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.letters = nn.Embedding(LETTERS, dim)
        self.places = nn.Parameter(torch.randn(LENGTH, dim) * 0.1)
        self.first, self.second = Attention(dim), Attention(dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.out = nn.Linear(dim, LETTERS)

    def forward(self, ids):
        x = self.letters(ids) + self.places[: ids.shape[1]]
        x = x + self.first(self.norm1(x))
        x = x + self.second(self.norm2(x))
        return self.out(x)


model = Decoder()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(6):
    for batch in DataLoader(lines(1200), batch_size=40, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: {loss.item():.3f}")
