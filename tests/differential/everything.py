"""A run that passes through everything that the observer watches, and then dies of an error of its own."""

import copy
import os
import warnings

import torch
from digest import show
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
torch.manual_seed(0)
data = TensorDataset(torch.randn(48, 1, 6, 6), torch.randint(0, 3, (48,)))
loader, held = DataLoader(data, 8, shuffle=True), DataLoader(data, 16)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 3))
spare, stray = nn.Linear(3, 3), torch.zeros(3, requires_grad=True)
model[0].bias.requires_grad_(False)
optimizer = torch.optim.AdamW([{"params": model.parameters()}, {"params": spare.parameters(), "lr": 0.01}], lr=0.005)
chain = torch.optim.lr_scheduler.StepLR(optimizer, 2)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
losses, kept = [], []


def evaluate(module):
    module.eval()
    with torch.no_grad():
        value = sum(F.cross_entropy(module(x), y) for x, y in held)
    module.train()
    return value


for epoch in range(4):
    for x, y in loader:
        optimizer.zero_grad()
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=epoch == 3):
            hidden = checkpoint(model[:5], x, use_reentrant=False) if epoch == 2 else model[:5](x)
            loss = F.cross_entropy(model[5](hidden) + stray, y) + 0.01 * F.mse_loss(hidden, torch.zeros_like(hidden))
        if epoch == 1:
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        else:
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 1.0)
            optimizer.step()
        losses.append(loss.item())
        kept = [*kept[-2:], loss]
    chain.step()
    losses.append(evaluate(model))
    plateau.step(losses[-1])
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, "checkpoint.pt")
state = torch.load("checkpoint.pt")
again = copy.deepcopy(model)
again.load_state_dict(state["model"])
optimizer.load_state_dict(state["optimizer"])
chain.load_state_dict(chain.state_dict())

w = torch.zeros(4, requires_grad=True)
for step in range(10):
    inputs = torch.randn(16, 4)
    loss = (inputs @ w - inputs.sum(1)).pow(2).mean()
    if step % 2:
        (w.grad,) = torch.autograd.grad(loss, [w])
    else:
        loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad = None
    losses.append(loss.item())
fine = torch.optim.LBFGS(again[5].parameters(), max_iter=3)


def closure():
    fine.zero_grad()
    loss = F.nll_loss(F.log_softmax(again[5](hidden.detach().float()), 1), y)
    loss.backward()
    return loss


losses += [fine.step(closure).item() for _ in range(3)]
compiled = torch.compile(spare, backend="eager") if "COMPILE" in os.environ else spare
rising = torch.ones(1, requires_grad=True)
falling = torch.optim.SGD([rising], 1.0)
for _ in range(3):
    falling.zero_grad()
    (rising.log() * float("inf")).sum().backward()
    falling.step()
show(losses, [*model.parameters(), *again.parameters(), *spare.parameters(), w], [optimizer, fine])
F.cross_entropy(spare(torch.randn(4, 3)), torch.tensor([0, 1, 2, 7]))
