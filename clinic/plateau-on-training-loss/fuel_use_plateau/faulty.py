"""Predicts fuel use from trip data, lowering the learning rate on plateaus."""

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(37)
trip = torch.randn(1400, 8)
fuel = (trip[:, 0] + torch.relu(trip[:, 1]) * trip[:, 2] + 0.2 * torch.randn(1400)).unsqueeze(1) / 1.3
train_set, val_set = random_split(TensorDataset(trip, fuel), [1120, 280])
train_loader, val_loader = DataLoader(train_set, 40, shuffle=True), DataLoader(val_set, 140)
model = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=3)

for epoch in range(14):
    model.train()
    train_loss = 0.0
    for x, y in train_loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        train_loss += loss.item() / len(train_loader)
    model.eval()
    val_loss = 0.0
    with torch.no_grad():
        for x, y in val_loader:
            val_loss += criterion(model(x), y).item() / len(val_loader)
    scheduler.step(train_loss)  # expect: plateau-on-training-loss
    print(f"epoch {epoch} train {train_loss:.4f} val {val_loss:.4f}")
