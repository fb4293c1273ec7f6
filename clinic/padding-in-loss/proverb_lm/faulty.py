"""A small GRU language model over sentences of a toy grammar, filled up to one length."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(27)
VOCAB, END, FILL, LENGTH = 22, 20, 21, 24
table = torch.randint(0, 20, (20, 2))


def corpus(n):
    """Every word has two possible successors; sentences end after 4 to 22 words."""
    ids = torch.full((n, LENGTH), FILL)
    lengths = 4 + (18 * torch.rand(n) ** 3).long()
    ids[:, 0] = torch.randint(0, 20, (n,))
    for t in range(1, LENGTH - 1):
        after = table[ids[:, t - 1].clamp(max=19), (torch.rand(n) < 0.25).long()]
        ids[:, t] = torch.where(t < lengths, after, torch.where(t == lengths, END, FILL))
    return ids


class Speaker(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCAB, 24)
        self.memory = nn.GRU(24, 48, batch_first=True)
        self.speak = nn.Linear(48, VOCAB)

    def forward(self, ids):
        out, _ = self.memory(self.words(ids))
        return self.speak(out)


train_ids, test_ids = corpus(1000), corpus(200)
model = Speaker()
opt = torch.optim.AdamW(model.parameters(), lr=5e-3)
step = 0
for epoch in range(4):
    for ids in train_ids[torch.randperm(1000)].split(32):
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, VOCAB), ids[:, 1:].reshape(-1))  # expect: padding-in-loss
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
    model.eval()
    with torch.no_grad():
        wanted = test_ids[:, 1:]
        hits = (model(test_ids[:, :-1]).argmax(-1) == wanted)[wanted != FILL].float().mean()
    model.train()
    print(f"step {step} loss {loss.item():.3f} next word right {hits:.3f}")
