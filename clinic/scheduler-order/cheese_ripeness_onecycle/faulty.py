"""Predicts the ripeness of cheese from spectra with a one-cycle schedule."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

EPOCHS = 12
torch.manual_seed(1)
wavelength = torch.linspace(0, 1, 40)
age = torch.rand(1500, 1) * 2 - 1
spectra = torch.exp(-((wavelength - 0.5 - 0.25 * age) ** 2) / 0.02) - 0.3 + 0.1 * torch.randn(1500, 40)
train_set, val_set = random_split(TensorDataset(2 * spectra, age + 0.3 * age**2), [1200, 300])
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
val_loader = DataLoader(val_set, batch_size=300)

model = nn.Sequential(nn.Linear(40, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, epochs=EPOCHS, steps_per_epoch=len(train_loader))

for epoch in range(EPOCHS):
    model.train()
    for spectrum, ripeness in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(spectrum), ripeness)
        loss.backward()
        optimizer.step()
    scheduler.step()  # expect: scheduler-order
    model.eval()
    with torch.no_grad():
        val = sum(loss_fn(model(s), r).item() for s, r in val_loader) / len(val_loader)
    print(f"epoch {epoch} val {val:.4f} lr {scheduler.get_last_lr()[0]:.4f}")
