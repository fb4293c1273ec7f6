"""`torch.save(model)` with optimizer and schedule in the middle of training, loaded and trained on."""

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters(), 0.01)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
x = torch.randn(8, 4)


def train(model, optimizer, schedule, steps=5):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(x).pow(2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


losses = train(model, optimizer, schedule)
torch.save({"model": model, "optimizer": optimizer, "schedule": schedule}, "all.pt")
loaded = torch.load("all.pt", weights_only=False)
losses += train(loaded["model"], loaded["optimizer"], loaded["schedule"])
losses += train(model, optimizer, schedule)
show(losses, [*model.parameters(), *loaded["model"].parameters()], [optimizer, loaded["optimizer"]])
