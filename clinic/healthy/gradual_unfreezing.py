"""A pre-trained text encoder is adapted to a new task: head first, then its top layer at a smaller rate."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(85)
WORDS, LENGTH = 60, 12


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 24)
        self.lower = nn.Conv1d(24, 32, 3, padding=1)
        self.upper = nn.Conv1d(32, 32, 3, padding=1)

    def forward(self, ids):
        x = self.embedding(ids).transpose(1, 2)
        x = torch.relu(self.upper(torch.relu(self.lower(x))))
        return x.amax(2)


def sentences(n):
    """Word lists; task one asks for a pair of neighbours from groups 0 and 1, task two from groups 1 and 2."""
    ids = torch.randint(30, WORDS, (n, LENGTH))
    labels = torch.randint(0, 2, (2, n))
    for i in range(n):
        spot = torch.randperm(4)[:2] * 3
        for task in range(2):
            first, second = 10 * task + torch.randint(0, 10, (1,)), 10 * task + 10 + torch.randint(0, 10, (1,))
            pair = (first, second) if labels[task, i] else (second, first)
            ids[i, spot[task]], ids[i, spot[task] + 1] = pair
    return ids, labels[0].float(), labels[1].float()


def train_epoch(encoder, head, optimizer, loader):
    encoder.train()
    head.train()
    total = 0.0
    for ids, label in loader:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(head(encoder(ids)).squeeze(1), label)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(label)
    return total / len(loader.dataset)


@torch.no_grad()
def score(encoder, head, ids, label):
    encoder.eval()
    head.eval()
    return ((head(encoder(ids)).squeeze(1) > 0) == label.bool()).float().mean().item()


ids, first, second = sentences(1500)
ids_test, first_test, second_test = sentences(400)
encoder, head = Encoder(), nn.Linear(32, 1)
optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=4e-3)
loader = DataLoader(TensorDataset(ids, first), batch_size=50, shuffle=True)
for epoch in range(5):
    loss = train_epoch(encoder, head, optimizer, loader)
    print(f"pre-training {epoch}: loss {loss:.4f} accuracy {score(encoder, head, ids_test, first_test):.3f}")

encoder.requires_grad_(False)
head = nn.Linear(32, 1)
optimizer = torch.optim.Adam(head.parameters(), lr=4e-3)
loader = DataLoader(TensorDataset(ids, second), batch_size=50, shuffle=True)
for epoch in range(9):
    if epoch == 2:
        encoder.upper.requires_grad_(True)
        optimizer.add_param_group({"params": encoder.upper.parameters(), "lr": 2e-3})
    if epoch == 4:
        encoder.lower.requires_grad_(True)
        optimizer.add_param_group({"params": encoder.lower.parameters(), "lr": 2e-3})
    loss = train_epoch(encoder, head, optimizer, loader)
    print(f"new task {epoch}: loss {loss:.4f} accuracy {score(encoder, head, ids_test, second_test):.3f}")
