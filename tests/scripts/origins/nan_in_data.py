import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
table = rng.normal(size=(200, 5)).astype(np.float32)
table[133, 3] = np.nan
target = table[:, 0] * 2.0
dataset = TensorDataset(torch.from_numpy(table), torch.from_numpy(target))  # born: lift_fresh data
loader = DataLoader(dataset, batch_size=20)
model = nn.Sequential(nn.Linear(5, 10), nn.Tanh(), nn.Linear(10, 1))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(2):
    for x, y in loader:  # born: stack data
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
