"""Part-of-speech tags for short sentences of unequal length with a bidirectional LSTM."""

import random

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

PAD = 0
WORDS, TAGS = 50, 6


def sentence(rng):
    """A word's tag follows from the word, and for every third word from the one before."""
    words = [rng.randrange(1, WORDS) for _ in range(rng.choice([3, 4, 5, 6, 18]))]
    tags = []
    for place, word in enumerate(words):
        before = words[place - 1] if place and word % 3 == 0 else word
        tags.append(1 + before % (TAGS - 1))
    return torch.tensor(words), torch.tensor(tags)


def collate(batch):
    words, tags = zip(*batch)
    return (
        pad_sequence(words, batch_first=True, padding_value=PAD),
        pad_sequence(tags, batch_first=True, padding_value=PAD),
    )


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 24, padding_idx=PAD)
        self.lstm = nn.LSTM(24, 24, batch_first=True, bidirectional=True)
        self.out = nn.Linear(48, TAGS)

    def forward(self, words):
        return self.out(self.lstm(self.embedding(words))[0])


def main():
    torch.manual_seed(18)
    rng = random.Random(18)
    train = DataLoader([sentence(rng) for _ in range(900)], batch_size=30, shuffle=True, collate_fn=collate)
    test = DataLoader([sentence(rng) for _ in range(150)], batch_size=150, collate_fn=collate)
    model = Tagger()
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    for epoch in range(4):
        model.train()
        for words, tags in train:
            scores = model(words)
            loss = criterion(scores.view(-1, TAGS), tags.view(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            words, tags = next(iter(test))
            real = tags != PAD
            hits = (model(words).argmax(-1) == tags)[real].float().mean().item()
        print(f"epoch {epoch}: loss {loss.item():.3f}, tags right {hits:.3f}")


if __name__ == "__main__":
    main()
