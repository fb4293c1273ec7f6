"""detect_anomaly is on, and a NaN is born in a backward pass."""

import torch

torch.manual_seed(0)
w = torch.ones(3, requires_grad=True)
torch.autograd.set_detect_anomaly(True)
for step in range(8):
    x = w - step / 4
    loss = x.clamp(min=0).sqrt().sum() * (x.sum() * 0 + 1)
    loss.backward()
    w.data -= 0.01 * w.grad
    w.grad = None
    print(repr(loss.item()))
