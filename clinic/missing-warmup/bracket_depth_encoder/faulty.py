"""A transformer encoder that says which of four brackets opens first after a marker."""

import torch
import torch.nn as nn

torch.manual_seed(3)
VOCABULARY, LENGTH, MARKER = 24, 20, 4


def sequences(n):
    ids = torch.randint(5, VOCABULARY, (n, LENGTH))
    at = torch.randint(0, LENGTH - 1, (n,))
    answer = torch.randint(0, 4, (n,))
    rows = torch.arange(n)
    ids[rows, at] = MARKER
    ids[rows, at + 1] = answer
    return ids, answer


class Encoder(nn.Module):
    def __init__(self, dim=64, heads=4, depth=6):
        super().__init__()
        self.token = nn.Embedding(VOCABULARY, dim)
        self.place = nn.Embedding(LENGTH, dim)
        layer = nn.TransformerEncoderLayer(dim, heads, 4 * dim, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, depth)
        self.out = nn.Linear(dim, 4)

    def forward(self, ids):
        hidden = self.token(ids) + self.place(torch.arange(ids.shape[1]))
        return self.out(self.layers(hidden).mean(dim=1))


model = Encoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)  # expect: missing-warmup
for step in range(240):
    ids, answer = sequences(32)
    loss = nn.functional.cross_entropy(model(ids), answer)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1} loss {loss.item():.4f}")
