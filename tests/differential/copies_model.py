# ci
"""Deep copies of a model in training: a teacher, an average, a snapshot."""

import copy

import torch
from digest import show
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, update_bn

torch.manual_seed(0)
student = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
teacher = copy.deepcopy(student).requires_grad_(False)
average = AveragedModel(student)
optimizer = torch.optim.SGD(student.parameters(), 0.1)
x = torch.randn(32, 4)
losses, best = [], None
for _ in range(10):
    optimizer.zero_grad()
    loss = F.kl_div(F.log_softmax(student(x), 1), F.softmax(teacher(x) * 3, 1), reduction="batchmean")
    loss.backward()
    optimizer.step()
    average.update_parameters(student)
    best = copy.deepcopy(student)
    losses.append(loss.item())
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            slow.lerp_(fast, 0.05)
update_bn([x, x], average)
print(sorted(vars(student)), sorted(vars(optimizer)), [len(vars(module)) for module in student])
show(losses, [*best.parameters(), *average.parameters(), *teacher.buffers()], [copy.deepcopy(optimizer)])
