"""Three models are trained in three threads; a daemon thread is still at work at the end."""

import threading

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x, y = torch.randn(16, 4), torch.randint(0, 3, (16,))
models = [nn.Linear(4, 3) for _ in range(3)]
results = {}


def work(index):
    optimizer = torch.optim.Adam(models[index].parameters())
    for _ in range(12):
        optimizer.zero_grad()
        loss = F.cross_entropy(models[index](x), y)
        loss.backward()
        optimizer.step()
        results[index] = loss.item()


threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(threading.active_count())
show([results[index] for index in range(3)], [p for model in models for p in model.parameters()])
