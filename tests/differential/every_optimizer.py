"""Every optimizer that torch has, each for a few steps."""

import torch
from digest import show

torch.manual_seed(0)
x, y = torch.randn(12, 3), torch.randn(12, 1)
names = sorted(name for name in dir(torch.optim) if isinstance(getattr(torch.optim, name), type))
losses, tried, weights = [], [], []
for name in names:
    if name in ("Optimizer", "SparseAdam"):
        continue
    layer = torch.nn.Linear(3, 1)
    try:
        optimizer = getattr(torch.optim, name)(layer.parameters(), lr=0.01)
    except ValueError as error:
        print(name, error)
        optimizer = getattr(torch.optim, name)([layer.weight], lr=0.01)

    def closure(optimizer=optimizer, layer=layer):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layer(x), y)
        loss.backward()
        return loss

    losses += [optimizer.step(closure) for _ in range(5)]
    tried.append(optimizer)
    weights += list(layer.parameters())
table = torch.nn.Embedding(10, 2, sparse=True)
sparse = torch.optim.SparseAdam(table.parameters(), 0.1)
for _ in range(3):
    sparse.zero_grad()
    loss = table(torch.tensor([1, 3, 3])).pow(2).sum()
    loss.backward()
    sparse.step()
    losses.append(loss)
print(names)
show(losses, [*weights, *table.parameters()], tried)
