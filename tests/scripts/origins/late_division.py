import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.key = nn.Linear(6, 6)
        self.out = nn.Linear(6, 1)

    def forward(self, x, keep):
        scores = self.key(x).sum(-1).exp() * keep
        share = scores / scores.sum(1, keepdim=True)  # born: div forward
        return self.out((share.unsqueeze(-1) * x).sum(1)).squeeze(-1)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x, keep):
        return self.attention(x, keep) + self.bias


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(40):
    x = torch.randn(8, 5, 6)
    keep = torch.ones(8, 5)
    if step == 31:
        keep[2] = 0
    y = x.mean((1, 2))
    loss = nn.functional.mse_loss(model(x, keep), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
