"""Review sentiment from variable-length bags of word ids with EmbeddingBag and offsets."""

import random

import torch
from torch import nn
from torch.utils.data import DataLoader

WORDS = 400
GOOD, BAD = range(0, 60), range(60, 120)


def review():
    label = random.randint(0, 1)
    liked, disliked = (GOOD, BAD) if label else (BAD, GOOD)
    length = random.randint(8, 25)
    words = []
    for _ in range(length):
        r = random.random()
        if r < 0.25:
            words.append(random.choice(liked))
        elif r < 0.33:
            words.append(random.choice(disliked))
        else:
            words.append(random.randrange(120, WORDS))
    return words, label


def collate(batch):
    flat, offsets, labels = [], [], []
    for words, label in batch:
        offsets.append(len(flat))
        flat.extend(words)
        labels.append(label)
    return torch.tensor(flat), torch.tensor(offsets), torch.tensor(labels)


class BagClassifier(nn.Module):
    def __init__(self, n_words, dim, n_classes):
        super().__init__()
        self.bag = nn.EmbeddingBag(n_words, dim, mode="mean")
        self.fc = nn.Linear(dim, n_classes)

    def forward(self, words, offsets):
        return self.fc(self.bag(words, offsets))


def run(model, loader, criterion, optimizer=None):
    training = optimizer is not None
    model.train(training)
    loss_sum, correct, n = 0.0, 0, 0
    with torch.set_grad_enabled(training):
        for words, offsets, labels in loader:
            logits = model(words, offsets)
            loss = criterion(logits, labels)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(labels)
            correct += (logits.argmax(1) == labels).sum().item()
            n += len(labels)
    return loss_sum / n, correct / n


if __name__ == "__main__":
    random.seed(33)
    torch.manual_seed(33)
    train_loader = DataLoader([review() for _ in range(3000)], batch_size=50, shuffle=True, collate_fn=collate)
    test_loader = DataLoader([review() for _ in range(600)], batch_size=200, collate_fn=collate)
    model = BagClassifier(WORDS, 16, 2)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(5):
        train_loss, train_acc = run(model, train_loader, criterion, optimizer)
        test_loss, test_acc = run(model, test_loader, criterion)
        print(f"epoch {epoch + 1} train {train_loss:.4f} {train_acc:.3f} test {test_loss:.4f} {test_acc:.3f}")
