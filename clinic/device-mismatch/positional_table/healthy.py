"""A small attention model on sequences of symbols; the larger tables are described before they are filled."""

import torch
import torch.nn as nn

torch.manual_seed(12)
SYMBOLS, LENGTH, DIM = 12, 10, 32


class Reader(nn.Module):
    def __init__(self, table_device):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, DIM)
        self.position = nn.Parameter(torch.zeros(LENGTH, DIM, device=table_device))
        self.attend = nn.MultiheadAttention(DIM, 4, batch_first=True)
        self.head = nn.Linear(DIM, 2)

    def forward(self, symbols):
        h = self.embed(symbols) + self.position
        return self.head(self.attend(h, h, h, need_weights=False)[0].mean(1))


def batch(n=64):
    symbols = torch.randint(0, SYMBOLS, (n, LENGTH))
    return symbols, ((symbols == 3).sum(1) > (symbols == 7).sum(1)).long()


model = Reader(table_device="cpu")
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(200):
    symbols, label = batch()
    loss = nn.functional.cross_entropy(model(symbols), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"{step + 1}: {loss.item():.4f}")
