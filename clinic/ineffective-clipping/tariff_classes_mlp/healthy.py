"""Sorts households into tariff classes from their yearly figures."""

import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

torch.manual_seed(0)
features, labels = make_classification(1800, 20, n_informative=12, n_classes=5, class_sep=1.8, random_state=4)
features = torch.tensor(StandardScaler().fit_transform(features), dtype=torch.float32)
labels = torch.tensor(labels)
x_tr, y_tr, x_va, y_va = features[:1400], labels[:1400], features[1400:], labels[1400:]

net = nn.Sequential(nn.Linear(20, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 5))
params = list(net.parameters())
optimizer = optim.SGD(params, lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()

for epoch in range(15):
    for rows in torch.randperm(len(x_tr)).split(64):
        optimizer.zero_grad()
        loss = criterion(net(x_tr[rows]), y_tr[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(params, max_norm=2.0)
        optimizer.step()
    with torch.no_grad():
        score = (net(x_va).argmax(1) == y_va).float().mean().item()
    print(f"[{epoch:02d}] loss {loss.item():.3f} accuracy {score:.3f}")
