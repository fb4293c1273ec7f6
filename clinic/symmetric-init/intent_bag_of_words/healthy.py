"""Sort short helpdesk messages into five intents from their bag of words."""

import random

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

TOPICS = {
    "billing": ["invoice", "charge", "refund", "card", "price", "paid"],
    "login": ["password", "account", "locked", "reset", "email", "code"],
    "shipping": ["parcel", "courier", "late", "address", "box", "tracking"],
    "technical": ["crash", "screen", "update", "error", "slow", "install"],
    "praise": ["great", "thanks", "love", "helpful", "fast", "friendly"],
}
COMMON = ["please", "hello", "my", "the", "again", "yesterday", "order", "app", "help", "when"]


def messages(n, rng):
    names = list(TOPICS)
    for _ in range(n):
        label = rng.randrange(len(names))
        words = rng.choices(COMMON, k=rng.randint(3, 6)) + rng.choices(TOPICS[names[label]], k=rng.randint(1, 3))
        if rng.random() < 0.1:
            words.append(rng.choice(TOPICS[rng.choice(names)]))
        rng.shuffle(words)
        yield " ".join(words), label


def vectorise(texts, vocabulary):
    out = torch.zeros(len(texts), len(vocabulary))
    for i, text in enumerate(texts):
        for word in text.split():
            out[i, vocabulary[word]] += 1
    return out


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
        nn.init.zeros_(m.bias)


def main():
    rng = random.Random(50)
    torch.manual_seed(50)
    vocabulary = {w: i for i, w in enumerate(COMMON + sum(TOPICS.values(), []))}
    texts, labels = zip(*messages(1800, rng))
    x, y = vectorise(texts, vocabulary), torch.tensor(labels)
    train_loader = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=30, shuffle=True)
    val_x, val_y = x[1500:], y[1500:]

    model = nn.Sequential(nn.Linear(len(vocabulary), 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 5))
    model.apply(init_weights)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    for epoch in range(6):
        model.train()
        total, count = 0.0, 0
        for xb, yb in train_loader:
            loss = loss_fn(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, count = total + loss.item(), count + 1
        model.eval()
        with torch.no_grad():
            val_acc = (model(val_x).argmax(1) == val_y).float().mean()
        print(f"epoch={epoch} loss={total / count:.3f} val_acc={val_acc:.3f}")


if __name__ == "__main__":
    main()
