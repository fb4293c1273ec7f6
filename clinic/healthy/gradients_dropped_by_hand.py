"""Quadratic-boundary classifier that drops gradients by assigning None and steps by hand-made momentum."""

import torch
import torch.nn.functional as F

torch.manual_seed(101)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(3, 32)
        self.b = torch.nn.Linear(32, 2)

    def forward(self, x):
        return self.b(F.softplus(self.a(x)))


x = torch.randn(1500, 3)
y = ((x**2).sum(1) > 2.4).long()
net = Net()
speed = {name: torch.zeros_like(p) for name, p in net.named_parameters()}

for step in range(1, 601):
    for p in net.parameters():
        p.grad = None
    batch = torch.randint(0, 1200, (64,))
    loss = F.cross_entropy(net(x[batch]), y[batch])
    loss.backward()
    with torch.no_grad():
        for name, p in net.named_parameters():
            speed[name].mul_(0.9).add_(p.grad)
            p.sub_(0.05 * speed[name])
    if step % 100 == 0:
        with torch.no_grad():
            score = (net(x[1200:]).argmax(1) == y[1200:]).float().mean()
        print(f"step {step}, loss {loss:.3f}, accuracy {score:.3f}")
