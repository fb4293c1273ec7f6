"""What `atexit` and `finally` do comes in the script's own order."""

import atexit

import torch
from digest import show

torch.manual_seed(0)
model = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), 0.1)


@atexit.register
def save():
    torch.save(model.state_dict(), "last.pt")
    model(torch.ones(1, 2)).sum().backward()  # it trains even here
    optimizer.step()
    show([], model.parameters(), [optimizer])


atexit.register(print, "first out")
try:
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).pow(2).sum().backward()
        optimizer.step()
    raise SystemExit("done")
finally:
    print("finally")
