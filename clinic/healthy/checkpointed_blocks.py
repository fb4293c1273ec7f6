"""Deep residual classifier whose blocks are recomputed in backward to save memory."""

import torch
import torch.nn as nn
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x):
        return x + self.inner(x)


class DeepNet(nn.Module):
    def __init__(self, n_in, width, depth, n_out, save_memory=True):
        super().__init__()
        self.entry = nn.Linear(n_in, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(depth)])
        self.exit = nn.Linear(width, n_out)
        self.save_memory = save_memory

    def forward(self, x):
        x = self.entry(x)
        for block in self.blocks:
            if self.save_memory and self.training:
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return self.exit(x)


def parity_like(n):
    x = torch.randn(n, 8)
    y = 2 * (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] + 0.5 * x[:, 3] > 0).long()
    return x, y


torch.manual_seed(41)
x, y = parity_like(2000)
x_test, y_test = parity_like(500)
net = DeepNet(8, 40, 5, 4)
optimizer = torch.optim.Adam(net.parameters(), lr=2.5e-3)
for epoch in range(1, 11):
    net.train()
    losses = []
    for rows in torch.randperm(2000).split(80):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f} test accuracy {accuracy:.4f}")
