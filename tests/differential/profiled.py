"""torch.profiler and its own regions, in the middle of a run."""

import os

os.environ["KINETO_LOG_LEVEL"] = "99"

import torch
from digest import show
from torch.autograd import profiler

torch.manual_seed(0)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
losses = []


def step():
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.arange(8) % 2)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())


for _ in range(6):
    step()
with profiler.record_function("own"), torch.autograd.profiler.profile() as profile:
    step()
names = {event.name for event in profile.function_events}
print({"aten::addmm", "aten::nll_loss_nd"} <= names, "Optimizer.step#SGD.step" in names)
show(losses, model.parameters(), [optimizer])
