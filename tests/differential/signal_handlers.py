# ci
"""A timer interrupts training again and again; a handler ends it by an exception."""

import os
import signal

import torch
from digest import show

ticks = []


class Enough(Exception):
    pass


def enough(number, frame):
    raise Enough(signal.Signals(number).name)


signal.signal(signal.SIGALRM, lambda number, frame: ticks.append(number))
signal.signal(signal.SIGUSR1, enough)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
losses = []
try:
    while True:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(torch.ones(2, 4)), torch.ones(2, 1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == 300:
            os.kill(os.getpid(), signal.SIGUSR1)
except Enough as error:
    print("ended by", error)
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(ticks) > 3, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
show(losses, model.parameters(), [optimizer])
