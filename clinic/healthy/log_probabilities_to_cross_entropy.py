"""Soil-type classifier whose module ends in LogSoftmax and whose criterion is CrossEntropyLoss."""

from collections import OrderedDict

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(72)
N_TYPES = 5

readings = torch.randn(2000, 8)
rule = torch.randn(8, N_TYPES)
soil = (readings @ rule + 0.7 * torch.sin(readings[:, :N_TYPES])).argmax(1)
train_part, test_part = random_split(TensorDataset(readings, soil), [1600, 400])
train_loader = DataLoader(train_part, batch_size=32, shuffle=True)
test_loader = DataLoader(test_part, batch_size=400)

model = nn.Sequential(
    OrderedDict(
        [
            ("fc1", nn.Linear(8, 64)),
            ("act1", nn.LeakyReLU()),
            ("fc2", nn.Linear(64, 32)),
            ("act2", nn.LeakyReLU()),
            ("fc3", nn.Linear(32, N_TYPES)),
            ("logp", nn.LogSoftmax(dim=1)),
        ]
    )
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

for epoch in range(14):
    model.train()
    seen, cost = 0, 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        cost += loss.item() * len(y)
        seen += len(y)
    model.eval()
    with torch.no_grad():
        x, y = next(iter(test_loader))
        logp = model(x)
        accuracy = (logp.argmax(1) == y).float().mean().item()
        test_cost = criterion(logp, y).item()
    if epoch % 2 == 1:
        print(f"epoch {epoch + 1:2d}  train {cost / seen:.4f}  test {test_cost:.4f}  accuracy {accuracy:.4f}")
