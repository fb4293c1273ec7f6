"""Tag every token of a short command with its slot, using a bidirectional LSTM."""

import torch
from torch import nn

torch.manual_seed(6)

VOCAB, SLOTS, LENGTH = 60, 5, 12


def commands(n, seed):
    """A token's slot depends on the token itself and on the one before it."""
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, VOCAB, (n, LENGTH), generator=g)
    previous = torch.cat([torch.zeros(n, 1, dtype=torch.long), tokens[:, :-1]], dim=1)
    slots = (tokens % 3) + 2 * (previous >= VOCAB // 2).long()
    return tokens, slots


class Tagger(nn.Module):
    def __init__(self, dim=24, hidden=32):
        super().__init__()
        self.words = nn.Embedding(VOCAB, dim)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        self.slot = nn.Linear(2 * hidden, SLOTS)

    def forward(self, tokens):
        context, _ = self.lstm(self.words(tokens))
        return self.slot(context)


train_tokens, train_slots = commands(1600, seed=1)
dev_tokens, dev_slots = commands(300, seed=2)
tagger = Tagger()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(tagger.parameters(), lr=5e-3)

for epoch in range(6):
    tagger.train()
    epoch_loss = 0.0
    for rows in torch.randperm(len(train_tokens)).split(40):
        scores = tagger(train_tokens[rows])
        loss = criterion(scores, train_slots[rows])  # expect: shape-mismatch
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(tagger.parameters(), 5.0)
        optimizer.step()
        epoch_loss += loss.item() * len(rows)

    tagger.eval()
    with torch.no_grad():
        tag_accuracy = (tagger(dev_tokens).argmax(-1) == dev_slots).float().mean().item()
    print(f"epoch {epoch + 1}  loss {epoch_loss / len(train_tokens):.4f}  dev token accuracy {tag_accuracy:.4f}")
