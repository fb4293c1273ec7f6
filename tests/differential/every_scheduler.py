"""Schedules of every kind, chained and nested, one fed with a metric."""

import torch
from digest import show
from torch.optim import lr_scheduler as schedules

torch.manual_seed(0)
w = torch.ones(3, requires_grad=True)
v = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([{"params": [w], "lr": 0.1}, {"params": [v]}], lr=0.05, momentum=0.9)
chain = schedules.ChainedScheduler(
    [schedules.ConstantLR(optimizer, 0.5, 3), schedules.ExponentialLR(optimizer, 0.9)], optimizer=optimizer
)
after = schedules.SequentialLR(
    optimizer, [schedules.LinearLR(optimizer, 0.1, total_iters=3), schedules.CosineAnnealingLR(optimizer, 10)], [4]
)
cycle = schedules.CyclicLR(optimizer, 0.001, 0.1, step_size_up=3)
plateau = schedules.ReduceLROnPlateau(optimizer, patience=1)
by_hand = schedules.LambdaLR(optimizer, [lambda step: 0.9**step, lambda step: 1.0])
losses = []
for _ in range(10):
    optimizer.zero_grad()
    loss = w.pow(2).sum() + (v - 1).abs().sum()
    loss.backward()
    optimizer.step()
    for schedule in (chain, after, cycle, by_hand):
        schedule.step()
    plateau.step(loss)
    losses += [loss.item(), *[group["lr"] for group in optimizer.param_groups]]
print(plateau.state_dict()["num_bad_epochs"], by_hand.get_last_lr())
show(losses, [w, v], [optimizer])
