"""Forecast of the next value of a noisy oscillation by a GRU with its gradient norm capped at one."""

# verdict: healthy

import torch
import torch.nn as nn


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, window):
        states, _ = self.gru(window)
        return self.out(states[:, -1])


def windows(n, length=24):
    period = 8 + 8 * torch.rand(n, 1)
    phase = 2 * torch.pi * torch.rand(n, 1)
    time = torch.arange(length + 1).float()
    wave = 1.4 * torch.sin(2 * torch.pi * time / period + phase) + 0.05 * torch.randn(n, length + 1)
    return wave[:, :-1, None], wave[:, -1:]


torch.manual_seed(47)
past, following = windows(1200)
past_test, following_test = windows(400)
model = Forecaster()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)

for epoch in range(10):
    model.train()
    squared, capped = 0.0, 0
    for index in torch.randperm(1200).split(40):
        optimizer.zero_grad()
        loss = criterion(model(past[index]), following[index])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        squared += loss.item() * len(index)
        capped += int(norm > 1.0)
    model.eval()
    with torch.no_grad():
        test = criterion(model(past_test), following_test).item()
    print(f"epoch {epoch + 1}: train {squared / 1200:.4f} test {test:.4f} capped steps {capped}/30")
