"""Response of an assay from forty descriptors, few compounds and a wide network."""

import torch
from torch import nn

torch.manual_seed(2)
x = torch.randn(260, 40)
y = 0.8 * x[:, 0] - 0.6 * x[:, 1] + 0.8 * torch.randn(260)
x_train, y_train, x_val, y_val = x[:60], y[:60], x[60:], y[60:]
model = nn.Sequential(nn.Linear(40, 4), nn.Tanh(), nn.Dropout(0.1), nn.Linear(4, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1.0)
for epoch in range(60):
    model.train()
    for rows in torch.randperm(60).split(20):
        loss = nn.functional.mse_loss(model(x_train[rows]).squeeze(1), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        val = nn.functional.mse_loss(model(x_val).squeeze(1), y_val)
    if epoch % 15 == 0:
        print(f"epoch {epoch} train {loss.item():.4f} val {val.item():.4f}")
