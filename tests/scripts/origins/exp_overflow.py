import torch
import torch.nn as nn
import torch.nn.functional as F


class Poisson(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 1)

    def forward(self, x):
        return torch.exp(self.fc(x)).squeeze(1)  # born: exp forward


torch.manual_seed(0)
x = torch.rand(100, 3) * 20
y = torch.poisson(torch.exp(x[:, 0] / 5))
model = Poisson()
opt = torch.optim.SGD(model.parameters(), lr=1e-4)
for _ in range(40):
    rate = model(x)
    loss = F.poisson_nll_loss(rate, y, log_input=False)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    opt.step()
    with torch.no_grad():
        model.fc.weight.copy_(model.fc.weight.abs() * 1.5)
