"""Predicts which of four firing programmes a kiln ran from twelve sensor readings."""

import torch
import torch.nn.functional as F

torch.manual_seed(8)
centres = 1.3 * torch.randn(4, 12)
label = torch.randint(0, 4, (1600,))
reading = centres[label] + torch.randn(1600, 12)
reading = (reading - reading.mean(0)) / reading.std(0)

net = torch.nn.Sequential(
    torch.nn.Linear(12, 64), torch.nn.Tanh(), torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4)
)
opt = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
ACCUMULATE = 4

opt.zero_grad()
seen = 0
for epoch in range(12):
    for chunk in torch.randperm(1600).split(16):
        logits = net(reading[chunk])
        loss = F.cross_entropy(logits, label[chunk]) / ACCUMULATE
        loss.backward()
        seen += 1
        if seen % ACCUMULATE == 0:
            opt.step()
            opt.zero_grad()
    with torch.no_grad():
        hits = (net(reading).argmax(dim=1) == label).float().mean()
        print(f"epoch {epoch}: loss {ACCUMULATE * loss.item():.3f}, hits {hits.item():.3f}")
