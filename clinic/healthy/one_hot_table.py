"""Bicycle-rental model on one-hot calendar columns, nearly all of them zero in any row."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(52)
SIZES = {"weekday": 7, "month": 12, "hour": 24}


def calendar(n):
    return {name: torch.randint(0, size, (n,)) for name, size in SIZES.items()}


def one_hot(columns):
    return torch.cat([F.one_hot(columns[name], size) for name, size in SIZES.items()], 1).float()


def rentals(columns):
    hour, month = columns["hour"].float(), columns["month"].float()
    rush = torch.exp(-((hour - 8) ** 2) / 6) + torch.exp(-((hour - 18) ** 2) / 8)
    season = torch.sin(torch.pi * month / 11)
    weekend = (columns["weekday"] >= 5).float()
    return 2.0 * rush * (1 - 0.7 * weekend) + 1.2 * season + 0.1 * torch.randn(len(hour))


train_columns, test_columns = calendar(3000), calendar(600)
y, y_test = rentals(train_columns), rentals(test_columns)
centre, spread = y.mean(), y.std()
x, y = one_hot(train_columns), (y - centre) / spread
x_test, y_test = one_hot(test_columns), (y_test - centre) / spread

model = nn.Sequential(nn.Linear(43, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(1, 11):
    model.train()
    train_error = 0.0
    for batch in torch.randperm(3000).split(60):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x[batch]).squeeze(1), y[batch])
        loss.backward()
        optimizer.step()
        train_error += loss.item() / 50
    model.eval()
    with torch.no_grad():
        test_error = F.mse_loss(model(x_test).squeeze(1), y_test).item()
    print(f"epoch {epoch:2d} train mse {train_error:.4f} test mse {test_error:.4f}")
