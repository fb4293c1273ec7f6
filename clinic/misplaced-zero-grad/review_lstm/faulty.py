"""Read short token reviews with an LSTM and decide whether the verdict is good or bad."""

import random

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

GOOD = "lovely bright crisp solid quick charming tasty neat".split()
BAD = "dull broken slow bland noisy flimsy greasy dated".split()
FILLER = "the a room phone soup film chair was is looked felt very quite also and i we it".split()
NEGATE = "not"
VOCAB = {word: i + 1 for i, word in enumerate(GOOD + BAD + FILLER + [NEGATE])}


def write_review(rng):
    label = rng.randint(0, 1)
    words = []
    for _ in range(rng.randint(2, 4)):
        words += rng.choices(FILLER, k=rng.randint(1, 3))
        flip = rng.random() < 0.25
        pool = GOOD if (label == 1) != flip else BAD
        words += ([NEGATE] if flip else []) + [rng.choice(pool)]
    return torch.tensor([VOCAB[w] for w in words]), label


def collate(batch):
    tokens, labels = zip(*batch)
    lengths = torch.tensor([len(t) for t in tokens])
    return pad_sequence(tokens, batch_first=True), lengths, torch.tensor(labels, dtype=torch.float32)


class ReviewLSTM(nn.Module):
    def __init__(self, words, emb=24, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(words, emb, padding_idx=0)
        self.lstm = nn.LSTM(emb, hidden, batch_first=True)
        self.verdict = nn.Linear(hidden, 1)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.verdict(h[-1]).squeeze(1)


def run_validation(model, loader):
    model.eval()
    right = total = 0
    with torch.no_grad():
        for tokens, lengths, labels in loader:
            right += ((model(tokens, lengths) > 0).float() == labels).sum().item()
            total += len(labels)
    return right / total


def main():
    torch.manual_seed(17)
    rng = random.Random(17)
    reviews = [write_review(rng) for _ in range(1500)]
    train_loader = DataLoader(reviews[:1200], batch_size=40, shuffle=True, collate_fn=collate)
    val_loader = DataLoader(reviews[1200:], batch_size=100, collate_fn=collate)

    model = ReviewLSTM(len(VOCAB) + 1)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    for epoch in range(8):
        model.train()
        epoch_loss = 0.0
        for tokens, lengths, labels in train_loader:
            logits = model(tokens, lengths)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.zero_grad()  # expect: misplaced-zero-grad
            optimizer.step()
            epoch_loss += loss.item()
        accuracy = run_validation(model, val_loader)
        print(f"epoch {epoch + 1} loss {epoch_loss / len(train_loader):.4f} val acc {accuracy:.3f}")


if __name__ == "__main__":
    main()
