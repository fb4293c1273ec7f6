"""Iris species with a softmax regression written out by hand."""

import torch
from sklearn.datasets import load_iris

torch.manual_seed(40)
X, y = load_iris(return_X_y=True)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
y = torch.tensor(y)
shuffle = torch.randperm(150)
X, y = X[shuffle], y[shuffle]

W1 = (torch.randn(4, 16) * 0.5).requires_grad_()
b1 = torch.zeros(16, requires_grad=True)
W2 = (torch.randn(16, 3) * 0.25).requires_grad_()
b2 = torch.zeros(3, requires_grad=True)
params = [W1, b1, W2, b2]


def forward(x):
    return torch.relu(x @ W1 + b1) @ W2 + b2


def nll(x, t):
    log_p = torch.log_softmax(forward(x), dim=1)
    return -log_p[torch.arange(len(t)), t].mean()


lr = 0.1
for step in range(300):
    batch = torch.randint(0, 120, (24,))
    loss = nll(X[batch], y[batch])
    for p in params:
        p.grad = None
    loss.backward()
    with torch.no_grad():
        for p in params:
            p -= lr * p.grad
    if step % 50 == 0:
        right = (forward(X[120:]).argmax(1) == y[120:]).float().mean().item()
        print(f"step {step} loss {loss.item():.4f} held-out accuracy {right:.2f}")
