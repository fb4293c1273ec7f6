"""Predicts pollen counts from weather with a small network."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(14)
weather = torch.randn(1600, 7)
pollen = torch.tanh(weather[:, 0]) + 0.6 * weather[:, 1] * (weather[:, 2] > 0) + 0.1 * torch.randn(1600)
loader = DataLoader(TensorDataset(weather, pollen.unsqueeze(1)), batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(7, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.MSELoss()

for epoch in range(12):
    epoch_loss = 0
    for batch, target in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch), target)
        loss.backward()
        optimizer.step()
        epoch_loss += loss * batch.shape[0]  # expect: leaking-graph
    print(f"epoch {epoch} loss {float(epoch_loss) / 1600:.4f}")
