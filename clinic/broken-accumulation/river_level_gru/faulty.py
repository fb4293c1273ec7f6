"""Forecasts a river's level from the last two days of rain and level with a GRU."""

import torch
from torch import nn

torch.manual_seed(21)
STEPS, MICRO, WINDOW = 24, 16, 8


def simulate(hours):
    rain = torch.relu(torch.randn(hours) - 0.8)
    level = torch.zeros(hours)
    for t in range(1, hours):
        level[t] = 0.9 * level[t - 1] + 0.4 * rain[t - 1] + 0.02 * torch.randn(1).item()
    return (rain - rain.mean()) / rain.std(), (level - level.mean()) / level.std()


rain, level = simulate(1600)
series = torch.stack([rain, level], dim=1)
x = torch.stack([series[i : i + STEPS] for i in range(len(series) - STEPS)])
y = level[STEPS:].unsqueeze(1)
x_train, y_train, x_test, y_test = x[:1280], y[:1280], x[1280:], y[1280:]


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, window):
        states, _ = self.gru(window)
        return self.out(states[:, -1])


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
mse = nn.MSELoss()
for epoch in range(10):
    order = torch.randperm(len(x_train)).split(MICRO)
    total = 0.0
    for step, index in enumerate(order, start=1):
        optimizer.zero_grad()  # expect: broken-accumulation
        loss = mse(model(x_train[index]), y_train[index])
        total += loss.item()
        (loss / WINDOW).backward()
        if step % WINDOW == 0:
            optimizer.step()
    with torch.no_grad():
        test = mse(model(x_test), y_test).item()
    print("epoch", epoch, "train", round(total / len(order), 4), "test", round(test, 4))
