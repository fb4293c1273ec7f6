"""Three groups of sensors, each with an encoder of its own, joined to tell four machine states apart."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
GROUPS = {"thermal": 6, "vibration": 10, "current": 4}


class StateClassifier(nn.Module):
    def __init__(self, groups, hidden, states):
        super().__init__()
        self.encoders = nn.ModuleDict()
        for name, size in groups.items():
            self.encoders[name] = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, 3), nn.Tanh())
        self.out = nn.Linear(3 * len(groups), states)

    def forward(self, readings):
        parts = [self.encoders[name](readings[name]) for name in sorted(readings)]
        return self.out(torch.cat(parts, dim=1))


n = 2000
readings = {name: torch.randn(n, size) for name, size in GROUPS.items()}
heat = (readings["thermal"][:, 0] * readings["thermal"][:, 1] > 0).long()
shake = (readings["vibration"][:, :3].pow(2).sum(1) > 2.4).long()
state = 2 * heat + shake
train, test = torch.arange(1600), torch.arange(1600, n)

model = StateClassifier(GROUPS, 32, 4)
opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
for epoch in range(24):
    model.train()
    order = train[torch.randperm(len(train))]
    losses = []
    for rows in order.split(50):
        logits = model({k: v[rows] for k, v in readings.items()})
        loss = F.cross_entropy(logits, state[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    if epoch % 4 == 3:
        model.eval()
        with torch.no_grad():
            hits = model({k: v[test] for k, v in readings.items()}).argmax(1) == state[test]
        print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.3f}, test accuracy {hits.float().mean():.3f}")
