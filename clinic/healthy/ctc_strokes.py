"""Connectionist temporal classification of short symbol strings drawn out over time."""

import torch
import torch.nn as nn
import torch.nn.functional as F

SYMBOLS, FRAMES = 5, 24
glyph = torch.randn(SYMBOLS + 1, 10, generator=torch.Generator().manual_seed(9))
glyph[0] = 0.0


def utterances(n):
    """Frames (n, 24, 10), each symbol held for two to five frames, and the symbol strings behind them."""
    frames, targets, lengths = torch.zeros(n, FRAMES, 10), [], []
    for i in range(n):
        count = int(torch.randint(2, 5, (1,)))
        symbols = torch.randint(1, SYMBOLS + 1, (count,))
        held = torch.randint(2, 5, (count,))
        track = torch.zeros(FRAMES, dtype=torch.long)
        at = int(torch.randint(0, 3, (1,)))
        for symbol, span in zip(symbols.tolist(), held.tolist()):
            track[at : at + span] = symbol
            at += span + 1
        frames[i] = glyph[track] + 0.3 * torch.randn(FRAMES, 10)
        targets.append(symbols)
        lengths.append(count)
    return frames, torch.cat(targets), torch.tensor(lengths)


class Recogniser(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.conv = nn.Conv1d(10, hidden, 3, padding=1)
        self.rnn = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, SYMBOLS + 1)

    def forward(self, frames):
        h = F.relu(self.conv(frames.transpose(1, 2))).transpose(1, 2)
        return F.log_softmax(self.out(self.rnn(h)[0]), dim=2)


@torch.no_grad()
def exact_match(model, frames, targets, lengths):
    model.eval()
    best = model(frames).argmax(2)
    right = 0
    for row, truth in zip(best, targets.split(lengths.tolist())):
        collapsed = torch.unique_consecutive(row)
        collapsed = collapsed[collapsed != 0]
        right += int(torch.equal(collapsed, truth))
    return right / len(frames)


torch.manual_seed(67)
train = utterances(560)
test = utterances(150)
starts = torch.cat([torch.zeros(1, dtype=torch.long), train[2].cumsum(0)])
model = Recogniser()
criterion = nn.CTCLoss(blank=0)
optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
for epoch in range(8):
    model.train()
    total = 0.0
    for rows in torch.randperm(560).split(40):
        log_p = model(train[0][rows]).transpose(0, 1)
        wanted = torch.cat([train[1][starts[r] : starts[r + 1]] for r in rows.tolist()])
        loss = criterion(log_p, wanted, torch.full((len(rows),), FRAMES), train[2][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 14
    print(f"epoch {epoch + 1}: ctc {total:.4f} whole strings right {exact_match(model, *test):.3f}")
