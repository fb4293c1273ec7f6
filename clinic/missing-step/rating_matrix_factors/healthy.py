"""Recommend films by factorising a sparse table of user ratings into user and item vectors with biases."""

import torch
from torch import nn

torch.manual_seed(100)

USERS, ITEMS, RANK = 150, 100, 3

# ratings
taste, trait = torch.randn(USERS, RANK), torch.randn(ITEMS, RANK)
generosity, quality = 0.5 * torch.randn(USERS), 0.7 * torch.randn(ITEMS)
table = 3.2 + generosity[:, None] + quality[None, :] + 0.5 * taste @ trait.T + 0.2 * torch.randn(USERS, ITEMS)
pairs = torch.cartesian_prod(torch.arange(USERS), torch.arange(ITEMS))
pairs = pairs[torch.randperm(len(pairs))[:8000]]
scores = table[pairs[:, 0], pairs[:, 1]]
train_pairs, train_scores = pairs[:7000], scores[:7000]
test_pairs, test_scores = pairs[7000:], scores[7000:]
offset, spread = train_scores.mean(), train_scores.std()


class Factors(nn.Module):
    def __init__(self, users, items, dim):
        super().__init__()
        self.u = nn.Embedding(users, dim)
        self.v = nn.Embedding(items, dim)
        self.bu = nn.Embedding(users, 1)
        self.bv = nn.Embedding(items, 1)
        for table in (self.u, self.v):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.bu, self.bv):
            nn.init.zeros_(table.weight)

    def forward(self, pair):
        user, item = pair[:, 0], pair[:, 1]
        interaction = (self.u(user) * self.v(item)).sum(1)
        return interaction + self.bu(user).squeeze(1) + self.bv(item).squeeze(1)


model = Factors(USERS, ITEMS, 4)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=1e-5)


def rmse(pair, score):
    model.eval()
    with torch.no_grad():
        guess = model(pair) * spread + offset
    model.train()
    return (guess - score).pow(2).mean().sqrt().item()


for epoch in range(8):
    total = 0.0
    for idx in torch.randperm(len(train_pairs)).split(128):
        wanted = (train_scores[idx] - offset) / spread
        loss = (model(train_pairs[idx]) - wanted).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    print(
        f"epoch {epoch + 1}: loss {total / len(train_pairs):.4f}, test rmse {rmse(test_pairs, test_scores):.4f} stars"
    )
