"""Products of all pairs of readings as features for a logistic regression."""

import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(23)
torch.manual_seed(23)


def products(x):
    """Each sample's products of every reading with every other."""
    return np.einsum("ni,mj->nmij", x, x).reshape(len(x), -1)  # expect: out-of-memory


x = rng.normal(size=(200_000, 12))
y = (x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] > 0).astype(np.float32)
features = torch.tensor(products(x), dtype=torch.float32)
target = torch.from_numpy(y)
model = nn.Linear(features.shape[1], 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(300):
    rows = torch.randint(0, 2000, (64,))
    loss = nn.functional.binary_cross_entropy_with_logits(model(features[rows]).squeeze(1), target[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 59:
        print(step + 1, round(loss.item(), 4))
