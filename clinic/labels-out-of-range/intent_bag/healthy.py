"""Intent of a customer's message from its words (bag of embeddings)."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader

INTENTS = ["billing", "delivery", "refund", "account", "greeting", "technical"]
INTENT_ID = {name: i for i, name in enumerate(INTENTS)}
TOPIC_WORDS = 25
COMMON_WORDS = 60
VOCAB = TOPIC_WORDS * len(INTENTS) + COMMON_WORDS


def messages(n, rng):
    """(word ids, name of the intent) as the annotators typed it."""
    rows = []
    for _ in range(n):
        k = int(rng.integers(len(INTENTS)))
        topical = rng.integers(k * TOPIC_WORDS, (k + 1) * TOPIC_WORDS, rng.integers(2, 5))
        common = rng.integers(TOPIC_WORDS * len(INTENTS), VOCAB, rng.integers(3, 9))
        name = INTENTS[k].capitalize() if rng.random() < 0.0015 else INTENTS[k]
        rows.append((np.concatenate([topical, common]).tolist(), name))
    return rows


def collate(rows):
    words = torch.tensor([w for ids, _ in rows for w in ids])
    starts = torch.tensor([0] + [len(ids) for ids, _ in rows[:-1]]).cumsum(0)
    labels = torch.tensor([INTENT_ID.get(name.lower(), -1) for _, name in rows])
    return words, starts, labels


class IntentModel(nn.Module):
    def __init__(self, dim=20):
        super().__init__()
        self.bag = nn.EmbeddingBag(VOCAB, dim, mode="mean")
        self.mlp = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, len(INTENTS)))

    def forward(self, words, starts):
        return self.mlp(self.bag(words, starts))


def main():
    rng = np.random.default_rng(8)
    torch.manual_seed(3)
    train_rows, test_rows = messages(2400, rng), messages(500, rng)
    train_loader = DataLoader(train_rows, batch_size=32, shuffle=True, collate_fn=collate)
    test_loader = DataLoader(test_rows, batch_size=250, collate_fn=collate)
    model = IntentModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss_fn = nn.CrossEntropyLoss()

    for epoch in range(4):
        model.train()
        for i, (words, starts, labels) in enumerate(train_loader):
            loss = loss_fn(model(words, starts), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if i % 15 == 0:
                print(f"epoch {epoch} batch {i:3d} loss {loss.item():.4f}")
        model.eval()
        with torch.no_grad():
            hits = sum((model(w, s).argmax(1) == y).sum().item() for w, s, y in test_loader)
        print(f"epoch {epoch} test accuracy {hits / len(test_rows):.3f}")


if __name__ == "__main__":
    main()
