"""GRU language model whose output layer shares its weight with the input embedding."""

import torch
import torch.nn as nn

torch.manual_seed(36)
VOCAB = 30


class TiedModel(nn.Module):
    def __init__(self, vocab, dim=40):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.output = nn.Linear(dim, vocab)
        self.output.weight = self.embedding.weight

    def forward(self, words):
        states, _ = self.rnn(self.embedding(words))
        return self.output(states)


def grammar_walk(n, length):
    """Each word allows three followers with chances 0.7, 0.2 and 0.1."""
    followers = torch.randint(0, VOCAB, (VOCAB, 3), generator=torch.Generator().manual_seed(0))
    chances = torch.tensor([0.7, 0.2, 0.1])
    words = [torch.randint(0, VOCAB, (n,))]
    for _ in range(length - 1):
        pick = torch.multinomial(chances, n, replacement=True)
        words.append(followers[words[-1], pick])
    return torch.stack(words, 1)


train, valid = grammar_walk(1200, 17), grammar_walk(200, 17)
model = TiedModel(VOCAB)
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    total = 0.0
    for rows in torch.randperm(1200).split(40):
        words = train[rows]
        logits = model(words[:, :-1])
        loss = criterion(logits.transpose(1, 2), words[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 30
    model.eval()
    with torch.no_grad():
        logits = model(valid[:, :-1])
        val = criterion(logits.transpose(1, 2), valid[:, 1:]).item()
        guess = (logits.argmax(-1) == valid[:, 1:]).float().mean().item()
    print(f"epoch {epoch + 1}: train {total:.4f} valid {val:.4f} best-guess accuracy {guess:.3f}")
