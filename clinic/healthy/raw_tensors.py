"""Two-layer spiral classifier written with bare tensors, without modules or optimizers."""

import torch

generator = torch.Generator().manual_seed(3)
arm = torch.randint(0, 3, (900,), generator=generator)
radius = torch.rand(900, generator=generator)
angle = 4 * radius + 2 * torch.pi * arm / 3 + 0.15 * torch.randn(900, generator=generator)
points = 2 * torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1)

w1 = torch.randn(2, 64, generator=generator)
b1 = torch.randn(64, generator=generator)
w2 = torch.randn(64, 3, generator=generator) / 8
b2 = torch.zeros(3)
weights = [w1, b1, w2, b2]
for w in weights:
    w.requires_grad_()

lr = 0.3
for it in range(1500):
    rows = torch.randint(0, 700, (100,), generator=generator)
    hidden = (points[rows] @ w1 + b1).clamp(min=0)
    scores = hidden @ w2 + b2
    log_p = scores - scores.logsumexp(dim=1, keepdim=True)
    loss = -log_p[torch.arange(100), arm[rows]].mean()
    loss.backward()
    with torch.no_grad():
        for w in weights:
            w -= lr * w.grad
            w.grad.zero_()
        if it % 150 == 0 or it == 1499:
            scores = (points[700:] @ w1 + b1).clamp(min=0) @ w2 + b2
            accuracy = (scores.argmax(1) == arm[700:]).float().mean().item()
            print(f"{it:5d} loss {loss.item():.4f} held-out accuracy {accuracy:.3f}")
