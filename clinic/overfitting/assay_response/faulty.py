"""Active or not in an assay, from forty descriptors and few compounds."""

import torch
from torch import nn

torch.manual_seed(2)
x = torch.randn(260, 40)
y = (1.5 * x[:, 0] - 1.2 * x[:, 1] + 0.8 * torch.randn(260) > 0).float()
x_train, y_train, x_val, y_val = x[:60], y[:60], x[60:], y[60:]
model = nn.Sequential(
    nn.Linear(40, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)
)  # expect: overfitting
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)  # expect: overfitting
for epoch in range(150):  # expect: overfitting
    model.train()
    for rows in torch.randperm(60).split(20):
        loss = nn.functional.binary_cross_entropy_with_logits(model(x_train[rows]).squeeze(1), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        val = nn.functional.binary_cross_entropy_with_logits(model(x_val).squeeze(1), y_val)  # expect: overfitting
    if epoch % 15 == 0:
        print(f"epoch {epoch} train {loss.item():.4f} val {val.item():.4f}")
