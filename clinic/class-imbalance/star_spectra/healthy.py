"""Type of a star from its spectrum; two of the four types are rare."""

import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(77)
torch.manual_seed(77)
SHARE = [0.84, 0.11, 0.03, 0.02]
LINES = rng.uniform(-1, 1, (4, 60)) * 0.35


def observe(n):
    kind = rng.choice(4, size=n, p=SHARE)
    spectrum = LINES[kind] + rng.normal(0, 1, (n, 60))
    return torch.tensor(spectrum, dtype=torch.float32), torch.tensor(kind)


def class_weights(kind):
    counts = torch.bincount(kind, minlength=4).float()
    return len(kind) / (4 * counts)


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(60, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, spectrum):
        return self.out(torch.relu(self.hidden(spectrum)))


x, y = observe(3000)
x_val, y_val = observe(1000)
model = Spectral()
loss_fn = nn.CrossEntropyLoss(weight=class_weights(y))
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5, weight_decay=1e-3)
for epoch in range(6):
    permutation = torch.randperm(len(x))
    for i in range(0, len(x), 60):
        idx = permutation[i : i + 60]
        opt.zero_grad()
        loss = loss_fn(model(x[idx]), y[idx])
        loss.backward()
        opt.step()
    with torch.no_grad():
        guess = model(x_val).argmax(1)
        recalls = [round((guess[y_val == k] == k).float().mean().item(), 2) for k in range(4)]
    print(f"epoch {epoch} loss {loss.item():.3f} recalls {recalls}")
