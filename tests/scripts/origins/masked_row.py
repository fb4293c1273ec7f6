import torch
from torch import nn


class Pool(nn.Module):
    def __init__(self, vocabulary=30, width=12):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width, padding_idx=0)
        self.score = nn.Linear(width, 1)
        self.head = nn.Linear(width, 2)

    def forward(self, tokens):
        h = self.embed(tokens)
        scores = self.score(h).squeeze(-1).masked_fill(tokens == 0, float("-inf"))
        weights = torch.softmax(scores, dim=1)  # born: _softmax forward
        return self.head((weights.unsqueeze(-1) * h).sum(1))


torch.manual_seed(3)
tokens = torch.randint(1, 30, (96, 7))
tokens[:, 5:] = 0
tokens[70] = 0
labels = (tokens[:, 0] > 15).long()
model = Pool()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
best = float("inf")
for i in range(0, 96, 16):
    out = model(tokens[i : i + 16])
    loss = nn.functional.cross_entropy(out, labels[i : i + 16])
    best = min(best, loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
