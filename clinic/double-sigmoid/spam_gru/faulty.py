"""Spam or not, from sequences of word ids, with a gated recurrent net."""

import torch
from torch import nn


def messages(n, length=14, vocab=60):
    """Spam holds at least two of the ten sales words."""
    ids = torch.randint(10, vocab, (n, length))
    spam = torch.rand(n) < 0.5
    for row in torch.nonzero(spam).flatten().tolist():
        place = torch.randperm(length)[:3]
        ids[row, place] = torch.randint(0, 10, (3,))
    return ids, spam.float()


class SpamNet(nn.Module):
    def __init__(self, vocab=60, dim=16, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.gru = nn.GRU(dim, hidden, batch_first=True)
        self.head = nn.Sequential(
            nn.Linear(hidden, 16),
            nn.ReLU(),
            nn.Linear(16, 1),
            nn.Sigmoid(),  # expect: double-sigmoid
        )

    def forward(self, ids):
        states, _ = self.gru(self.embed(ids))
        return self.head(states.max(dim=1).values)[:, 0]


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.loss_fn = nn.BCEWithLogitsLoss()  # expect: double-sigmoid
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(self, ids, labels):
        self.model.train()
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(ids), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self, ids, labels):
        self.model.eval()
        return ((self.model(ids) > 0.5).float() == labels).float().mean().item()


torch.manual_seed(99)
ids, labels = messages(1200)
test_ids, test_labels = messages(300)
trainer = Trainer(SpamNet(), lr=4e-3)
for step in range(220):
    rows = torch.randint(0, len(ids), (48,))
    loss = trainer.step(ids[rows], labels[rows])
    if step % 40 == 39:
        print(f"step {step + 1} loss {loss:.3f} accuracy {trainer.accuracy(test_ids, test_labels):.3f}")
