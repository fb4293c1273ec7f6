"""Cultivar of a wine from its chemical analysis; notebook style."""

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_wine

np.random.seed(8)
torch.manual_seed(8)
X, y = load_wine(return_X_y=True)
order = np.random.permutation(len(X))
X, y = X[order], y[order]
mean, std = X[:130].mean(0), X[:130].std(0)
X = torch.from_numpy(((X - mean) / std).astype("float32"))
y = torch.from_numpy(y).long()

net = nn.Sequential(
    nn.Linear(13, 24), nn.Tanh(), nn.Linear(24, 3), nn.Softmax(dim=1)
)  # expect: logits-to-probability-loss
loss_fn = nn.NLLLoss()  # expect: logits-to-probability-loss
opt = torch.optim.SGD(net.parameters(), lr=0.2)

for step in range(200):
    rows = torch.randint(0, 130, (32,))
    out = net(X[rows])
    loss = loss_fn(out, y[rows])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 25 == 0:
        with torch.no_grad():
            accuracy = (net(X[130:]).argmax(1) == y[130:]).float().mean()
        print(step, round(loss.item(), 4), round(accuracy.item(), 3))
