"""Encoder-decoder that reverses number strings of varying length, teacher-forced, padding left out of the loss."""

import random

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

PAD, START, END = 0, 1, 2
FIRST = 3
VOCAB = FIRST + 8


def random_strings(n, avoid=()):
    strings = []
    while len(strings) < n:
        string = tuple(random.randrange(FIRST, VOCAB) for _ in range(random.randint(2, 6)))
        if string not in avoid:
            strings.append(string)
    return strings


def collate(strings):
    strings = [list(s) for s in strings]
    source = pad_sequence([torch.tensor(s) for s in strings], batch_first=True, padding_value=PAD)
    given = pad_sequence([torch.tensor([START] + s[::-1]) for s in strings], batch_first=True, padding_value=PAD)
    wanted = pad_sequence([torch.tensor(s[::-1] + [END]) for s in strings], batch_first=True, padding_value=PAD)
    return source, torch.tensor([len(s) for s in strings]), given, wanted


class Reverser(nn.Module):
    def __init__(self, dim=32, hidden=56):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, dim, padding_idx=PAD)
        self.encoder = nn.GRU(dim, hidden, batch_first=True)
        self.decoder = nn.GRU(dim, hidden, batch_first=True)
        self.out = nn.Linear(hidden, VOCAB)

    def forward(self, source, lengths, given):
        packed = pack_padded_sequence(self.embed(source), lengths, batch_first=True, enforce_sorted=False)
        _, summary = self.encoder(packed)
        states, _ = self.decoder(self.embed(given), summary)
        return self.out(states)


def main():
    random.seed(12)
    torch.manual_seed(12)
    model = Reverser()
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)
    test_strings = sorted(set(random_strings(500)))
    source_test, lengths_test, given_test, wanted_test = collate(test_strings)
    kept_out = set(test_strings)
    real = wanted_test != PAD
    for step in range(1, 201):
        model.train()
        source, lengths, given, wanted = collate(random_strings(48, avoid=kept_out))
        optimizer.zero_grad()
        loss = criterion(model(source, lengths, given).flatten(0, 1), wanted.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        if step % 40 == 0:
            model.eval()
            with torch.no_grad():
                guess = model(source_test, lengths_test, given_test).argmax(-1)
            print(
                f"step {step} loss {loss.item():.4f} token accuracy {(guess == wanted_test)[real].float().mean():.3f}"
            )


if __name__ == "__main__":
    main()
