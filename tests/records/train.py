"""Makes a record with nearly every kind of row: `sgdoctor run --record small train.py` in this folder."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(4, 2))
scale = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
loader = DataLoader(TensorDataset(torch.randn(12, 3), torch.arange(12) % 2), batch_size=4)

model.train()
for x, y in loader:
    loss = nn.functional.cross_entropy(model(x) * scale, y) + 0.1 * scale.log().sum()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        scale -= 0.1 * scale.grad
    scheduler.step()
model.eval()
nn.functional.cross_entropy(model(x), y[:2])
