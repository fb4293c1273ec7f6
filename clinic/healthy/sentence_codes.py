"""Sentence autoencoder: a GRU squeezes eight word ids into one code, another GRU spells them out again."""

import torch
import torch.nn as nn
import torch.nn.functional as F

WORDS, LENGTH = 9, 8


class SentenceCode(nn.Module):
    def __init__(self, dim=16, code=48):
        super().__init__()
        self.embed = nn.Embedding(WORDS, dim)
        self.reader = nn.GRU(dim, code, batch_first=True)
        self.writer = nn.GRU(code, code, batch_first=True)
        self.word = nn.Linear(code, WORDS)

    def forward(self, ids):
        _, code = self.reader(self.embed(ids))
        spread = code[-1].unsqueeze(1).expand(-1, ids.shape[1], -1)
        return self.word(self.writer(spread)[0])


def sentences(n):
    ids = torch.randint(0, WORDS, (n, LENGTH))
    ids[:, 1::2] = (ids[:, ::2] + 2) % WORDS
    return ids


torch.manual_seed(71)
train_ids, test_ids = sentences(1000), sentences(200)
model = SentenceCode()
optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
for step in range(220):
    batch = train_ids[torch.randint(0, 1000, (40,))]
    loss = F.cross_entropy(model(batch).transpose(1, 2), batch)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 40 == 39:
        model.eval()
        with torch.no_grad():
            hits = (model(test_ids).argmax(-1) == test_ids).float().mean().item()
        model.train()
        print(f"step {step + 1} loss {loss.item():.3f} words restored {hits:.3f}")
