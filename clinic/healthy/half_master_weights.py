"""Half-precision network with full-precision master weights and a fixed loss scale."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(0)
SCALE = 256.0
x, y = load_digits(return_X_y=True)
order = torch.randperm(len(x))
x = (torch.tensor(x, dtype=torch.float32)[order] / 16).half()
y = torch.tensor(y)[order]
x_train, y_train, x_val, y_val = x[:1400], y[:1400], x[1400:], y[1400:]

model = nn.Sequential(nn.Linear(64, 80), nn.ReLU(), nn.Linear(80, 10)).half()
master = [p.detach().float().clone().requires_grad_(True) for p in model.parameters()]
optimizer = torch.optim.Adam(master, lr=2e-3)


def push():
    with torch.no_grad():
        for p, m in zip(model.parameters(), master):
            p.copy_(m)


for epoch in range(12):
    model.train()
    total = 0.0
    for idx in torch.randperm(1400).split(50):
        loss = nn.functional.cross_entropy(model(x_train[idx]).float(), y_train[idx])
        model.zero_grad()
        (loss * SCALE).backward()
        for p, m in zip(model.parameters(), master):
            m.grad = p.grad.float() / SCALE
        optimizer.step()
        push()
        total += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        acc = (model(x_val).argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch} loss {total / 1400:.4f} acc {acc:.3f}")
