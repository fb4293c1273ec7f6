"""Resumes a regression network after a refactor of the class."""

import logging
import pathlib
import tempfile

import numpy as np
import torch
from torch import nn

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("resume")


class NetV1(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.final = nn.Linear(64, 1)

    def forward(self, x):
        return self.final(self.layers(x))


class NetV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc_in = nn.Linear(6, 64)
        self.fc_mid = nn.Linear(64, 64)
        self.final = nn.Linear(64, 1)

    def forward(self, x):
        return self.final(torch.tanh(self.fc_mid(torch.tanh(self.fc_in(x)))))


def plant(n, rng):
    x = rng.uniform(-1, 1, (n, 6))
    y = np.sin(3 * x[:, 0]) * x[:, 1] + x[:, 2] ** 2 - np.exp(x[:, 3]) * 0.5 + 0.3 * x[:, 4] * x[:, 5]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)


def fit(net, data, val, epochs, lr, tag):
    x, y = data
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(64):
            loss = nn.functional.mse_loss(net(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        if epoch % 5 == 0:
            net.eval()
            with torch.no_grad():
                v = nn.functional.mse_loss(net(val[0]), val[1]).item()
            log.info("%s epoch %d train %.5f val %.5f", tag, epoch, total / len(x), v)


def main():
    torch.manual_seed(6)
    rng = np.random.default_rng(6)
    data, val = plant(2500, rng), plant(500, rng)
    data_y = data[1].mean(), data[1].std()
    data = data[0], (data[1] - data_y[0]) / data_y[1]
    val = val[0], (val[1] - data_y[0]) / data_y[1]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "net.pt"
        old = NetV1()
        fit(old, data, val, 31, 3e-3, "first run")
        torch.save(old.state_dict(), file)

        new = NetV2()
        saved = torch.load(file)
        own = new.state_dict()
        matched = {k: v for k, v in saved.items() if k in own and v.shape == own[k].shape}
        new.load_state_dict(matched, strict=False)  # expect: checkpoint-not-loaded
        fit(new, data, val, 21, 2e-4, "resumed")


if __name__ == "__main__":
    main()
