"""Power draw of a kiln from its settings; some meter readings were joined to the wrong batch in the log."""

import torch
import torch.nn.functional as F

torch.manual_seed(7)


def read_log(n, misjoined):
    settings = torch.rand(n, 5) * 2 - 1
    heat, load, vent, humid, age = settings.T
    power = 1.2 * heat + 0.8 * load * heat + torch.sin(2.5 * vent) - 0.5 * humid**2 + 0.3 * age
    reading = power + 0.02 * torch.randn(n)
    wrong = torch.rand(n) < misjoined
    reading = torch.where(wrong, reading[torch.randperm(n)], reading)  # expect: noisy-labels
    return settings, reading.unsqueeze(1)


x, y = read_log(4000, misjoined=0.15)
x_val, y_val = x[3200:], y[3200:]
x, y = x[:3200], y[:3200]

net = torch.nn.Sequential(
    torch.nn.Linear(5, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)
)
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 30)

for epoch in range(30):
    order = torch.randperm(len(x))
    for start in range(0, len(x), 100):
        pick = order[start : start + 100]
        opt.zero_grad()
        loss = F.mse_loss(net(x[pick]), y[pick])  # expect: noisy-labels
        loss.backward()
        opt.step()
    sched.step()
    if epoch % 3 == 2:
        with torch.no_grad():
            val = F.mse_loss(net(x_val), y_val).item()
        print(f"epoch {epoch + 1} train {loss.item():.4f} val {val:.4f}")
