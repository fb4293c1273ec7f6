"""Calibration curve of a sensor: a small polynomial fitted by plain gradient descent."""

import torch

torch.manual_seed(3)
volts = torch.linspace(-1, 1, 200)
truth = 0.4 + 1.3 * volts - 0.7 * volts**2
reading = truth + 0.05 * torch.randn(200)
powers = torch.stack([torch.ones(200), volts, volts**2], 1)

coefficients = torch.zeros(3, requires_grad=True)
rate = 0.05
for iteration in range(250):
    chosen = torch.randint(0, 200, (40,))
    residual = powers[chosen] @ coefficients - reading[chosen]
    loss = (residual**2).mean()
    loss.backward()
    with torch.no_grad():
        coefficients += rate * coefficients.grad  # expect: maximised-loss
    coefficients.grad.zero_()
    if iteration % 50 == 0:
        print(iteration, loss.item())
print("fitted", [round(c, 3) for c in coefficients.tolist()])
