# ci
"""Goes to another folder before it writes: relative paths follow."""

import os

import torch
from digest import show
from torch import nn

os.makedirs("run/one")
os.chdir("run/one")
print(os.getcwd(), os.path.abspath("x"))
torch.manual_seed(0)
model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
losses = []
with open("log.txt", "w") as log:
    for step in range(5):
        loss = nn.functional.mse_loss(model(torch.ones(4, 2)), torch.ones(4, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        log.write(f"{step} {loss.item()!r}\n")
torch.save(model.state_dict(), "../model.pt")
show(losses, model.parameters(), [optimizer])
