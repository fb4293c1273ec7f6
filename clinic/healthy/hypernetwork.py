"""A hypernetwork writes the weights of a small function fitter from a description of the function."""

import torch
import torch.nn as nn

torch.manual_seed(65)
HIDDEN = 12


class HyperNet(nn.Module):
    """Turns (frequency, phase) into the weights of a 1-12-1 tanh network."""

    def __init__(self):
        super().__init__()
        self.n_weights = HIDDEN + HIDDEN + HIDDEN + 1
        self.body = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.write = nn.Linear(64, self.n_weights)

    def forward(self, description):
        flat = self.write(self.body(description))
        return flat.split([HIDDEN, HIDDEN, HIDDEN, 1], dim=1)


def apply_written(written, x):
    w1, b1, w2, b2 = written
    hidden = torch.tanh(x.unsqueeze(-1) * 3 * w1.unsqueeze(1) + b1.unsqueeze(1))
    return (hidden * w2.unsqueeze(1)).sum(-1) + b2


def functions(n, points=24):
    description = 2 * torch.rand(n, 2) - 1
    frequency, phase = 2 + description[:, :1], torch.pi / 2 * description[:, 1:]
    x = 2 * torch.rand(n, points) - 1
    return description, x, torch.sin(frequency * x + phase)


hyper = HyperNet()
optimizer = torch.optim.Adam(hyper.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[350, 450], gamma=0.3)
test = functions(300)
for step in range(500):
    description, x, y = functions(32)
    loss = (apply_written(hyper(description), x) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 50 == 49:
        hyper.eval()
        with torch.no_grad():
            test_error = (apply_written(hyper(test[0]), test[1]) - test[2]).square().mean().item()
        hyper.train()
        print(f"step {step + 1}: loss {loss.item():.5f} test {test_error:.5f}")
