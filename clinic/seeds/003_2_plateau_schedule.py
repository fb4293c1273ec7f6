"""Four-class tabular classifier whose rate is halved whenever the mean epoch loss stops falling."""

# verdict: healthy

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(31)
centres = 1.2 * torch.randn(4, 12)
kind = torch.randint(0, 4, (1500,))
rows = centres[kind] + torch.randn(1500, 12)
loader = DataLoader(TensorDataset(rows, kind), batch_size=30, shuffle=True)

model = nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 4))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=1e-5)
scheduler = ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=5)

for epoch in range(30):
    total = 0.0
    for batch, target in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    mean_loss = total / len(loader)
    scheduler.step(mean_loss)
    if epoch % 3 == 2:
        print(f"epoch {epoch + 1}: loss {mean_loss:.4f}, lr {optimizer.param_groups[0]['lr']:g}")
