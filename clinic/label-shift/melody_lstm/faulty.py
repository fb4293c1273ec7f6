"""Melodies of a simple random grammar, one note at a time, with an LSTM."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

NOTES = 16


class Melodies(Dataset):
    def __init__(self, count, length=25, seed=0):
        generator = torch.Generator().manual_seed(seed)
        jumps = torch.tensor([1, 2, 3, 5])
        notes = torch.zeros(count, length, dtype=torch.long)
        notes[:, 0] = torch.randint(0, NOTES, (count,), generator=generator)
        for t in range(1, length):
            jump = jumps[notes[:, t - 1] % 4]
            stray = (torch.rand(count, generator=generator) < 0.1).long()
            notes[:, t] = (notes[:, t - 1] + jump + 7 * stray) % NOTES
        self.notes = notes

    def __len__(self):
        return len(self.notes)

    def __getitem__(self, index):
        melody = self.notes[index]
        return melody[:-1], melody[:-1]  # expect: label-shift


class Composer(nn.Module):
    def __init__(self, dim=24, hidden=48):
        super().__init__()
        self.embed = nn.Embedding(NOTES, dim)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True)
        self.head = nn.Linear(hidden, NOTES)

    def forward(self, notes, state=None):
        out, state = self.lstm(self.embed(notes), state)
        return self.head(out), state


@torch.no_grad()
def compose(model, first, length=12):
    model.eval()
    notes, state = [first], None
    for _ in range(length):
        logits, state = model(torch.tensor([[notes[-1]]]), state)
        notes.append(torch.multinomial(logits[0, -1].softmax(0), 1).item())
    model.train()
    return notes


if __name__ == "__main__":
    torch.manual_seed(8)
    model = Composer()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(4):
        for given, wanted in DataLoader(Melodies(800), batch_size=32, shuffle=True):
            logits, _ = model(given)
            loss = criterion(logits.transpose(1, 2), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.3f}", compose(model, 3))
