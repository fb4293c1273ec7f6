# ci
"""Weights, optimizer and random state saved and read back; training goes on as if nothing had been."""

import torch
from digest import show
from torch import nn


def build():
    model = nn.LSTM(3, 5, num_layers=2, dropout=0.3, batch_first=True)
    return model, torch.optim.NAdam(model.parameters(), 0.01)


def train(model, optimizer, steps):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        output, _ = model(torch.randn(4, 6, 3))
        loss = output.pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


torch.manual_seed(0)
model, optimizer = build()
losses = train(model, optimizer, 4)
torch.save({"m": model.state_dict(), "o": optimizer.state_dict(), "r": torch.get_rng_state()}, "checkpoint.pt")
losses += train(model, optimizer, 4)
state = torch.load("checkpoint.pt")
model, optimizer = build()
print(model.load_state_dict(state["m"]), sorted(state["m"]))
optimizer.load_state_dict(state["o"])
torch.set_rng_state(state["r"])
losses += train(model, optimizer, 4)
show(losses, model.parameters(), [optimizer])
