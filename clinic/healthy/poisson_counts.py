"""Poisson regression of daily visitor counts with a log link."""

import torch
from torch import nn

torch.manual_seed(87)


def days(n):
    weather, holiday, advert = torch.randn(n), (torch.rand(n) < 0.3).float(), torch.rand(n)
    log_rate = 1.2 + 0.4 * weather + 0.6 * holiday + 0.7 * advert - 0.25 * weather**2
    return torch.stack([weather, 2 * holiday - 0.6, 3 * (advert - 0.5)], 1), torch.poisson(log_rate.exp())


x, visitors = days(2400)
x_test, visitors_test = days(800)
log_rate = nn.Sequential(nn.Linear(3, 24), nn.Softplus(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(log_rate.parameters(), lr=5e-3)
criterion = nn.PoissonNLLLoss(log_input=True)


def deviance(rate, count):
    safe = torch.where(count > 0, count, torch.ones_like(count))
    return 2 * (torch.where(count > 0, count * torch.log(safe / rate), 0.0) - (count - rate)).mean().item()


for epoch in range(12):
    log_rate.train()
    nll = 0.0
    for rows in torch.randperm(2400).split(60):
        loss = criterion(log_rate(x[rows]).squeeze(1), visitors[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        nll += loss.item() / 40
    log_rate.eval()
    with torch.no_grad():
        fitted = deviance(log_rate(x_test).squeeze(1).exp(), visitors_test)
    constant = deviance(visitors.mean(), visitors_test)
    print(f"epoch {epoch + 1}: nll {nll:.4f} test deviance {fitted:.4f} (constant rate {constant:.4f})")
