"""Next-token model of a small grammar whose input and output embeddings are shared."""

import torch
import torch.nn as nn
import torch.nn.functional as F

VOCAB, DIM = 40, 32


class TokenModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM)
        self.mix = nn.GRU(DIM, DIM, batch_first=True)
        self.decode = nn.Linear(DIM, VOCAB, bias=False)
        nn.init.normal_(self.embed.weight, std=0.2)
        self.decode.weight = self.embed.weight

    def forward(self, tokens):
        h, _ = self.mix(self.embed(tokens))
        return self.decode(h)


def sentences(n, length=12):
    first = torch.randint(0, VOCAB, (n, 1))
    jump = torch.randint(1, 4, (n, 1))
    return (first + jump * torch.arange(length)) % VOCAB


torch.manual_seed(3)
text = sentences(1500)
model = TokenModel()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(5):
    for batch in text[torch.randperm(len(text))].split(50):
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
