# ci
"""What the script lets go of is gone: models, optimizers, losses, batches, whole graphs."""

import gc
import weakref

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

gc.disable()
freed = []


def fold(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters())
    loader = DataLoader([(torch.randn(4), i % 2) for i in range(32)], 8)
    for epoch in range(3):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            output = model(x)
            loss = F.cross_entropy(output, y)
            loss.backward()
            optimizer.step()
            last = [weakref.ref(each) for each in (x, y, output, loss)]
            del x, y, output, loss
            freed.append([each() is None for each in last])
    return [weakref.ref(each) for each in (model, optimizer, model[0].weight, loader)]


for seed in range(3):
    gone = fold(seed)
    print([each() is None for each in gone])
    gc.collect()
    print([each() is None for each in gone])
print(freed)
print(sum(torch.is_tensor(each) and each.requires_grad for each in gc.get_objects()))
