"""Soil-moisture regression that stops when validation has not improved for six epochs and keeps the best weights."""

import copy

import torch
import torch.nn as nn

torch.manual_seed(39)


def moisture(n):
    x = torch.randn(n, 6)
    y = torch.relu(x[:, 0] + 0.5 * x[:, 1]) - 0.7 * x[:, 2] * torch.sigmoid(2 * x[:, 3]) - 0.4
    return x, (y + 0.15 * torch.randn(n))[:, None]


x_train, y_train = moisture(1500)
x_val, y_val = moisture(500)
x_test, y_test = moisture(500)
model = nn.Sequential(nn.Linear(6, 24), nn.ELU(), nn.Linear(24, 24), nn.ELU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
loss_fn = nn.MSELoss()
best, best_state, waited, PATIENCE = float("inf"), None, 0, 6

for epoch in range(1, 61):
    model.train()
    train_loss = 0.0
    for rows in torch.randperm(1500).split(50):
        optimizer.zero_grad()
        loss = loss_fn(model(x_train[rows]), y_train[rows])
        loss.backward()
        optimizer.step()
        train_loss += loss.item() / 30
    model.eval()
    with torch.no_grad():
        val_loss = loss_fn(model(x_val), y_val).item()
    print(f"epoch {epoch:2d} train {train_loss:.4f} val {val_loss:.4f}")
    if val_loss < best - 1e-4:
        best, best_state, waited = val_loss, copy.deepcopy(model.state_dict()), 0
    else:
        waited += 1
        if waited >= PATIENCE:
            print("no better for", PATIENCE, "epochs")
            break

model.load_state_dict(best_state)
with torch.no_grad():
    print(f"best val {best:.4f} test {loss_fn(model(x_test), y_test).item():.4f}")
