"""Everything in float64 by default, and a loss near the end of its digits."""

import torch
from digest import show

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
model = torch.nn.Linear(5, 1)
x = torch.randn(50, 5)
y = x @ torch.arange(5.0)[:, None]
optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
losses = []


def closure():
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    losses.append(loss.item())
    return loss


for _ in range(4):
    optimizer.step(closure)
print(torch.get_default_dtype(), model.weight.dtype)
show(losses, model.parameters(), [optimizer])
