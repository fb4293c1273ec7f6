"""Character-level LSTM over one long generated text, its state carried between windows."""

import random

import torch
import torch.nn as nn

random.seed(50)
torch.manual_seed(50)

SUBJECTS = ["the cat", "a sailor", "my aunt", "the old king"]
VERBS = ["saw", "sold", "lost", "painted"]
OBJECTS = ["a red boat", "two apples", "the moon", "her green hat"]


def compose(n_sentences):
    return " ".join(
        f"{random.choice(SUBJECTS)} {random.choice(VERBS)} {random.choice(OBJECTS)}." for _ in range(n_sentences)
    )


text = compose(1300)
alphabet = sorted(set(text))
index = {char: i for i, char in enumerate(alphabet)}
codes = torch.tensor([index[char] for char in text])


def streams(codes, n_streams):
    usable = (len(codes) - 1) // n_streams * n_streams
    return codes[:usable].view(n_streams, -1), codes[1 : usable + 1].view(n_streams, -1)


class CharLSTM(nn.Module):
    def __init__(self, n_chars, dim=24, hidden=80):
        super().__init__()
        self.embedding = nn.Embedding(n_chars, dim)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True)
        self.decoder = nn.Linear(hidden, n_chars)

    def forward(self, chars, state=None):
        out, state = self.lstm(self.embedding(chars), state)
        return self.decoder(out), state


cut = int(0.9 * len(codes))
inputs, targets = streams(codes[:cut], 20)
test_inputs, test_targets = streams(codes[cut:], 4)
model = CharLSTM(len(alphabet))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
WINDOW = 32

for epoch in range(1, 5):
    model.train()
    state, total, windows = None, 0.0, 0
    for start in range(0, inputs.shape[1] - WINDOW, WINDOW):
        x, y = inputs[:, start : start + WINDOW], targets[:, start : start + WINDOW]
        if state is not None:
            state = tuple(part.detach() for part in state)
        logits, state = model(x, state)
        loss = criterion(logits.reshape(-1, len(alphabet)), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        total += loss.item()
        windows += 1
    model.eval()
    with torch.no_grad():
        logits, _ = model(test_inputs)
        test_loss = criterion(logits.reshape(-1, len(alphabet)), test_targets.reshape(-1)).item()
        accuracy = (logits.argmax(-1) == test_targets).float().mean().item()
    print(f"epoch {epoch}: train {total / windows:.4f} test {test_loss:.4f} next-character accuracy {accuracy:.3f}")
