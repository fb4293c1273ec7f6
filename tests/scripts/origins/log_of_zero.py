import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 6)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(30):
    logits = model(x) * 4.0**step
    p = torch.softmax(logits, dim=1)
    log_p = torch.log(p)  # born: log forward
    loss = -log_p[torch.arange(64), y].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
