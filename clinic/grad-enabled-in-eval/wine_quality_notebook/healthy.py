"""Notebook-style regression of a quality score, with a validation loop in every epoch."""

import torch
from sklearn.datasets import load_diabetes
from torch.nn import Linear, MSELoss, ReLU, Sequential

torch.manual_seed(2)
x, y = load_diabetes(return_X_y=True)
x = torch.tensor(x / x.std(0), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32).view(-1, 1)
order = torch.randperm(len(x))
x_train, y_train, x_val, y_val = x[order[:340]], y[order[:340]], x[order[340:]], y[order[340:]]
model = Sequential(Linear(10, 16), ReLU(), Linear(16, 1))
optim = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
criterion = MSELoss()
for epoch in range(1, 26):
    train_loss = 0
    for rows in torch.randperm(340).split(34):
        loss = criterion(model(x_train[rows]), y_train[rows])
        optim.zero_grad()
        loss.backward()
        optim.step()
        train_loss += loss.item() / 10
    val_loss = 0
    with torch.no_grad():
        for rows in torch.arange(len(x_val)).split(34):
            val_loss += criterion(model(x_val[rows]), y_val[rows]) / 3
    if epoch % 5 == 0:
        print(epoch, "train", round(train_loss, 4), "val", round(val_loss.item(), 4))
