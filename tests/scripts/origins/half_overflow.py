import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 16) * 60
y = torch.randint(0, 3, (64,))
body = nn.Linear(16, 64)
head = nn.Linear(64, 3)
params = list(body.parameters()) + list(head.parameters())
opt = torch.optim.SGD(params, lr=1e-4)
for step in range(20):
    opt.zero_grad()
    h = torch.relu(body(x))
    energy = (h * (1 + step)).half()
    energy = energy * energy  # born: mul forward
    logits = head(energy.float() / 1000)
    loss = nn.functional.cross_entropy(logits, y)
    loss.backward()
    opt.step()
