"""Ridge-penalised logistic regression run well past the point where it meets its optimum."""

import torch
import torch.nn.functional as F

torch.manual_seed(58)
x = torch.randn(300, 5)
true_w = torch.tensor([1.5, -2.0, 0.0, 0.8, 0.0])
y = (torch.rand(300) < torch.sigmoid(x @ true_w)).float()

w = torch.zeros(5, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([w, b], lr=1.0)
for step in range(400):
    optimizer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(x @ w + b, y) + 0.01 * w.square().sum()
    loss.backward()
    optimizer.step()
    if step % 40 == 0 or step == 399:
        slope = torch.cat([w.grad, b.grad]).norm().item()
        print(f"step {step:3d}  objective {loss.item():.6f}  gradient norm {slope:.1e}")
with torch.no_grad():
    print("accuracy", ((x @ w + b > 0) == y.bool()).float().mean().item(), "weights", w.numpy().round(2))
