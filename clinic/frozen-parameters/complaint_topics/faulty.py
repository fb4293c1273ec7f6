"""Sort short complaints into five departments with averaged word vectors."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

VOCAB, TOPICS, LENGTH = 600, 5, 12


class Complaints(Dataset):
    """Each department has words of its own; most words of a text are common ones."""

    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.topic = torch.randint(0, TOPICS, (n,), generator=g)
        common = torch.randint(TOPICS * 60, VOCAB, (n, LENGTH), generator=g)
        own = self.topic[:, None] * 60 + torch.randint(0, 60, (n, LENGTH), generator=g)
        pick = torch.rand(n, LENGTH, generator=g) < 0.25
        self.words = torch.where(pick, own, common)

    def __len__(self):
        return len(self.topic)

    def __getitem__(self, i):
        return self.words[i], self.topic[i]


class TopicModel(nn.Module):
    def __init__(self, dim):
        super().__init__()
        vectors = 0.5 * torch.randn(VOCAB, dim)
        self.embed = nn.Embedding.from_pretrained(vectors)  # expect: frozen-parameters
        self.head = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, TOPICS))

    def forward(self, words):
        return self.head(self.embed(words).mean(1))


def evaluate(model, loader):
    model.eval()
    hits = 0
    with torch.no_grad():
        for words, topic in loader:
            hits += (model(words).argmax(1) == topic).sum().item()
    return hits / len(loader.dataset)


def main():
    torch.manual_seed(8)
    train_loader = DataLoader(Complaints(2500, 1), batch_size=50, shuffle=True)
    test_loader = DataLoader(Complaints(500, 2), batch_size=250)
    model = TopicModel(24)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(1, 11):
        model.train()
        total = 0.0
        for words, topic in train_loader:
            loss = nn.functional.cross_entropy(model(words), topic)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(topic)
        print(f"{epoch:3d} {total / 2500:.4f} {evaluate(model, test_loader):.3f}")


main()
