"""Shares of clicks by page position, learnt from logged sessions."""

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(61)
positions, features = 8, 10
mix = torch.randn(features, positions)
sessions = torch.randn(1200, features)
shares = (1.5 * sessions @ mix / features**0.5).softmax(1)
loader = DataLoader(TensorDataset(sessions[:1000], shares[:1000]), batch_size=50, shuffle=True)

weights = torch.zeros(features, positions, requires_grad=True)
bias = torch.zeros(positions, requires_grad=True)
optimizer = torch.optim.SGD([weights, bias], lr=0.5)


def scores(x):
    return x @ weights + bias


for epoch in range(10):
    for x, share in loader:
        loss = F.kl_div(scores(x), share, reduction="batchmean")  # expect: kldiv-arguments
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        off = (scores(sessions[1000:]).softmax(1) - shares[1000:]).abs().mean()
    print(f"epoch {epoch}  loss {loss.item():.5f}  mean error {off:.4f}")
