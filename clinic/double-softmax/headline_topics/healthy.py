"""Sort news headlines into ten topics: learnt embeddings, attention pooling, a linear classifier."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

TOPICS = 10
WORDS = 400
PAD = 0


def headlines(n, seed, length=14):
    g = torch.Generator().manual_seed(seed)
    topic = torch.randint(0, TOPICS, (n,), generator=g)
    shared = torch.randint(201, WORDS, (n, length), generator=g)
    own = 1 + topic[:, None] * 20 + torch.randint(0, 20, (n, length), generator=g)
    text = torch.where(torch.rand(n, length, generator=g) < 0.25, own, shared)
    size = torch.randint(8, length + 1, (n,), generator=g)
    text[torch.arange(length)[None, :] >= size[:, None]] = PAD
    text[:, 0] = own[:, 0]
    return text, topic


class TopicClassifier(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, dim, padding_idx=PAD)
        self.attention = nn.Linear(dim, 1)
        self.classifier = nn.Linear(dim, TOPICS)

    def forward(self, text):
        vectors = self.embedding(text)
        weight = self.attention(torch.tanh(vectors)).squeeze(-1)
        weight = F.softmax(weight.masked_fill(text == PAD, float("-inf")), dim=1)
        pooled = (weight.unsqueeze(-1) * vectors).sum(dim=1)
        return self.classifier(pooled)


def train_one_epoch(model, loader, criterion, optimizer):
    model.train()
    loss_sum, hits = 0.0, 0
    for text, topic in loader:
        output = model(text)
        loss = criterion(output, topic)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * topic.numel()
        hits += int((output.argmax(1) == topic).sum())
    return loss_sum / len(loader.dataset), hits / len(loader.dataset)


def validate(model, loader):
    model.eval()
    hits = 0
    with torch.no_grad():
        for text, topic in loader:
            hits += int((model(text).argmax(1) == topic).sum())
    return hits / len(loader.dataset)


def main(epochs=8, batch_size=64, lr=0.01):
    torch.manual_seed(19)
    train_loader = DataLoader(TensorDataset(*headlines(3000, 1)), batch_size=batch_size, shuffle=True)
    val_loader = DataLoader(TensorDataset(*headlines(600, 2)), batch_size=300)
    model = TopicClassifier()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        loss, acc = train_one_epoch(model, train_loader, criterion, optimizer)
        print(f"epoch {epoch}: train loss {loss:.4f} train acc {acc:.4f} val acc {validate(model, val_loader):.4f}")


if __name__ == "__main__":
    main()
