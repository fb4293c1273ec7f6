"""A target network that is synchronised now and then, and a best state kept as a deep copy."""

import copy
import io

import torch
from torch import nn

torch.manual_seed(18)
online = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
target = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
target.load_state_dict(online.state_dict())
optimizer = torch.optim.Adam(online.parameters(), lr=2e-3)
mix = torch.randn(6, 3)
best, best_loss = None, float("inf")
for step in range(400):
    state = torch.randn(64, 6)
    with torch.no_grad():
        bootstrap = torch.tanh(state @ mix) + 0.5 * target(state).tanh()
    loss = nn.functional.mse_loss(online(state), bootstrap)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        target.load_state_dict(online.state_dict())
        checkpoint = {"step": step, "model": online.state_dict()}
        torch.save(checkpoint, io.BytesIO())
        if loss.item() < best_loss:
            best, best_loss = copy.deepcopy(online.state_dict()), loss.item()
        print(step + 1, round(loss.item(), 5))
online.load_state_dict(best)
print("kept", round(best_loss, 5))
