"""ReduceLROnPlateau in its default mode, fed with one minus the accuracy of the validation set."""

import torch
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(23)
x, y = load_wine(return_X_y=True)
x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
y = torch.tensor(y)
order = torch.randperm(len(x))
x, y = x[order], y[order]
model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=8)
for epoch in range(40):
    for rows in torch.randperm(130).split(13):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(x[130:]).argmax(1) == y[130:]).float().mean().item()
    scheduler.step(1 - accuracy)
    if epoch % 8 == 7:
        print(epoch + 1, round(loss.item(), 4), accuracy)
