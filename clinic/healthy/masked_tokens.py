"""Masked-token pre-training on short arithmetic facts; positions that were not masked carry the label -100."""

import torch
import torch.nn as nn

DIGITS, PLUS, EQUALS, MASK = 10, 10, 11, 12
VOCAB, WIDTH = 13, 7


def facts(n):
    """Rows such as 3 + 4 = 0 7 0 with the two digits of the sum and their parity."""
    a, b = torch.randint(0, 10, (2, n))
    total = a + b
    column = torch.full((n,), PLUS)
    return torch.stack([a, column, b, torch.full((n,), EQUALS), total // 10, total % 10, total % 2], 1)


def hide(rows):
    labels = torch.full_like(rows, -100)
    hidden = rows.clone()
    place = torch.tensor([0, 2, 4, 5, 6])[torch.randint(0, 5, (len(rows),))]
    line = torch.arange(len(rows))
    labels[line, place] = rows[line, place]
    hidden[line, place] = MASK
    return hidden, labels


class MaskedModel(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.token = nn.Embedding(VOCAB, dim)
        self.place = nn.Parameter(0.3 * torch.randn(WIDTH, dim))
        self.mixer = nn.Sequential(
            nn.Flatten(),
            nn.Linear(WIDTH * dim, 128),
            nn.GELU(),
            nn.Linear(128, WIDTH * dim),
            nn.Unflatten(1, (WIDTH, dim)),
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, VOCAB)

    def forward(self, rows):
        x = self.token(rows) + self.place
        return self.head(self.norm(x + self.mixer(x)))


def main():
    torch.manual_seed(74)
    model = MaskedModel()
    criterion = nn.CrossEntropyLoss(ignore_index=-100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    hits = asked = 0
    for step in range(350):
        hidden, labels = hide(facts(96))
        optimizer.zero_grad()
        logits = model(hidden)
        loss = criterion(logits.view(-1, VOCAB), labels.view(-1))
        loss.backward()
        optimizer.step()
        hits += (logits.argmax(-1) == labels).sum().item()
        asked += (labels != -100).sum().item()
        if step % 50 == 49:
            print(f"step {step + 1} loss {loss.item():.4f} recovered {hits / asked:.3f}")
            hits = asked = 0


if __name__ == "__main__":
    main()
