"""Soil moisture of the next day from the last fortnight, with two loss terms."""

import torch
from torch import nn

torch.manual_seed(33)
days = 14
rain = torch.rand(900, days) * (torch.rand(900, days) < 0.4)
weights = 0.85 ** torch.arange(days - 1, -1, -1.0)
moisture = (rain * weights).sum(1, keepdim=True)
moisture = (moisture - moisture.mean()) / moisture.std()
rain = ((rain - rain.mean()) / rain.std()).unsqueeze(2)
rnn, head = nn.RNN(1, 24, batch_first=True), nn.Linear(24, 1)
params = list(rnn.parameters()) + list(head.parameters())
opt = torch.optim.Adam(params, lr=5e-3)
running_fit = torch.zeros(())
for step in range(1, 301):
    rows = torch.randint(0, 900, (50,))
    states, last = rnn(rain[rows])
    fit = nn.functional.mse_loss(head(last[0]), moisture[rows])
    smooth = 1e-3 * (states[:, 1:] - states[:, :-1]).pow(2).mean()
    loss = fit + smooth
    opt.zero_grad()
    loss.backward()
    opt.step()
    running_fit = running_fit + loss.detach()
    if step % 50 == 0:
        print(step, "mean loss so far", round(running_fit.item() / step, 4))
