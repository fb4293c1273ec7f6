import torch
from torch import nn
from torch.autograd import Function

torch.manual_seed(0)


class SoftplusFn(Function):
    @staticmethod
    def forward(ctx, x, beta):
        ctx.save_for_backward(x)
        ctx.beta = beta
        return torch.log1p(torch.exp(beta * x)) / beta

    @staticmethod
    def backward(ctx, grad_output):  # expect: wrong-custom-gradient
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(ctx.beta * x)
        return grad_output * s * (1 - s), None  # expect: wrong-custom-gradient


class Softplus(nn.Module):
    def forward(self, x):
        return SoftplusFn.apply(x, 2.0)


x = torch.rand(400, 3) * 2 - 1
y = (x[:, 0] * 2 + x[:, 1] ** 2 - x[:, 2]).unsqueeze(1)
net = nn.Sequential(nn.Linear(3, 32), Softplus(), nn.Linear(32, 32), Softplus(), nn.Linear(32, 1))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(12):
    order = torch.randperm(400)
    for i in range(0, 400, 40):
        b = order[i : i + 40]
        loss = ((net(x[b]) - y[b]) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(epoch, loss.item())
