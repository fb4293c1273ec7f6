"""Next-note model over a long melody, cut into stretches that follow on from each other."""

import torch
from torch import nn


class NoteModel(nn.Module):
    def __init__(self, notes=12, width=32):
        super().__init__()
        self.embed = nn.Embedding(notes, 16)
        self.lstm = nn.LSTM(16, width)
        self.head = nn.Linear(width, notes)

    def forward(self, notes, hidden):
        out, hidden = self.lstm(self.embed(notes), hidden)
        return self.head(out), hidden

    def start(self, batch):
        return torch.zeros(1, batch, 32), torch.zeros(1, batch, 32)


def train_epoch(model, stretches, optimizer, criterion):
    hidden = model.start(stretches[0].shape[1])
    total = 0.0
    for stretch in stretches:
        optimizer.zero_grad()
        hidden = tuple(h.detach() for h in hidden)
        logits, hidden = model(stretch[:-1], hidden)
        loss = criterion(logits.flatten(0, 1), stretch[1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    return total / len(stretches)


torch.manual_seed(33)
scale = torch.tensor([0, 2, 4, 5, 7, 9, 11, 7, 4, 2])
melody = scale[torch.arange(8000) % 10].view(8, 1000).t().contiguous()
stretches = [melody[i : i + 11] for i in range(0, 980, 10)]
model = NoteModel()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(2):
    print(f"epoch {epoch} loss {train_epoch(model, stretches, optimizer, nn.CrossEntropyLoss()):.4f}")
