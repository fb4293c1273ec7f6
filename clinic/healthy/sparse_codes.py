"""Overcomplete autoencoder whose codes are kept sparse by an L1 term."""

import torch
from torch import nn

torch.manual_seed(18)
ATOMS, DIM = 24, 20
dictionary = nn.functional.normalize(torch.randn(ATOMS, DIM), dim=1)


def signals(n):
    active = (torch.rand(n, ATOMS) < 0.12).float()
    return (active * (0.5 + torch.rand(n, ATOMS))) @ dictionary * 2


class SparseAutoencoder(nn.Module):
    def __init__(self, dim, codes):
        super().__init__()
        self.encode = nn.Linear(dim, codes)
        self.decode = nn.Linear(codes, dim)

    def forward(self, x):
        code = torch.relu(self.encode(x))
        return self.decode(code), code


train, test = signals(3000), signals(600)
model = SparseAutoencoder(DIM, 48)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(1, 15):
    sums = torch.zeros(2)
    model.train()
    for rows in torch.randperm(3000).split(60):
        x = train[rows]
        rebuilt, code = model(x)
        error = nn.functional.mse_loss(rebuilt, x)
        loss = error + 4e-2 * code.abs().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums += torch.tensor([error.item(), (code > 0).float().mean().item()]) / 50
    if epoch % 2 == 0:
        model.eval()
        with torch.no_grad():
            rebuilt, code = model(test)
        print(
            f"epoch {epoch}: error {sums[0]:.4f} active {sums[1]:.3f} "
            f"| test error {(rebuilt - test).pow(2).mean().item():.4f} of variance {test.var().item():.4f}"
        )
