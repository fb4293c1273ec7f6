"""Several tags a film from a bag of plot words."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

TAGS, WORDS = 6, 120


class Plots(Dataset):
    """Words are drawn from the topics of the tags a film has."""

    def __init__(self, films, seed):
        generator = torch.Generator().manual_seed(seed)
        topics = torch.rand(TAGS, WORDS, generator=torch.Generator().manual_seed(0)) ** 6
        self.tags = (torch.rand(films, TAGS, generator=generator) < 0.4).float()
        rates = 0.05 + self.tags @ topics
        self.words = (torch.rand(films, WORDS, generator=generator) < rates.clamp(max=0.9)).float()

    def __len__(self):
        return len(self.tags)

    def __getitem__(self, index):
        return self.words[index] - 0.25, self.tags[index]


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(WORDS, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, TAGS))

    def forward(self, words):
        return self.layers(words)


def evaluate(model, loader):
    model.eval()
    right = total = 0
    with torch.no_grad():
        for words, tags in loader:
            scores = torch.sigmoid(model(words))
            right += ((scores > 0.5).float() == tags).sum().item()
            total += tags.numel()
    return right / total


torch.manual_seed(5)
train_loader = DataLoader(Plots(1600, 1), batch_size=40, shuffle=True)
test_loader = DataLoader(Plots(400, 2), batch_size=100)
model = Tagger()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(5):
    model.train()
    for words, tags in train_loader:
        optimizer.zero_grad()
        scores = model(words)
        loss = F.binary_cross_entropy_with_logits(scores, tags)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.3f}, tags right {evaluate(model, test_loader):.3f}")
