"""Complex weights, and a loss that is made real at the end."""

import torch
from digest import show

torch.manual_seed(0)
w = torch.randn(4, dtype=torch.complex64, requires_grad=True)
optimizer = torch.optim.Adam([w], 0.05)
target = torch.fft.fft(torch.randn(4))
losses = []
for _ in range(10):
    optimizer.zero_grad()
    difference = torch.fft.ifft(w) * 4 - target
    loss = difference.abs().pow(2).sum()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
(w * w.conj()).sum().backward(torch.tensor(1 + 0j))
show(losses, [torch.view_as_real(w.detach()), torch.view_as_real(w.grad)])
