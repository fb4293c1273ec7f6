"""Forecast the next hour of an electricity load curve from the last two days with dilated convolutions."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    history: int = 48
    channels: int = 16
    batch: int = 64
    steps: int = 300
    lr: float = 0.05
    clip: float = 5.0
    seed: int = 2


def load_curve(hours, seed):
    rng = np.random.default_rng(seed)
    t = np.arange(hours)
    daily = np.sin(2 * np.pi * t / 24) + 0.5 * np.sin(4 * np.pi * t / 24 + 1.0)
    weekly = 0.6 * np.sin(2 * np.pi * t / 168)
    drift = np.zeros(hours)
    for i in range(1, hours):
        drift[i] = 0.9 * drift[i - 1] + 0.1 * rng.standard_normal()
    return (40 + 9 * (daily + weekly + drift)).astype(np.float32)


class CausalBlock(nn.Module):
    def __init__(self, c_in, c_out, dilation):
        super().__init__()
        self.left = 2 * dilation
        self.conv = nn.Conv1d(c_in, c_out, 3, dilation=dilation)

    def forward(self, x):
        return F.gelu(self.conv(F.pad(x, (self.left, 0))))


class Forecaster(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        c = cfg.channels
        self.blocks = nn.Sequential(CausalBlock(1, c, 1), CausalBlock(c, c, 3), CausalBlock(c, c, 9))
        self.head = nn.Linear(c, 1)

    def forward(self, window):
        return self.head(self.blocks(window.unsqueeze(1))[:, :, -1]).squeeze(1)


def train_step(model, optimizer, window, target, clip):
    model.zero_grad()
    loss = F.mse_loss(model(window), target)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


@torch.no_grad()
def backtest(model, windows, targets):
    model.eval()
    mse = F.mse_loss(model(windows), targets).item()
    model.train()
    return mse


if __name__ == "__main__":
    cfg = Config()
    torch.manual_seed(cfg.seed)
    series = torch.from_numpy(load_curve(4000, cfg.seed))
    cut = 3200
    series = (series - series[:cut].mean()) / series[:cut].std()
    windows = series.unfold(0, cfg.history + 1, 1)
    train_windows, test_windows = windows[: cut - cfg.history], windows[cut:]

    model = Forecaster(cfg)
    optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=0.9)
    losses = []
    for step in range(1, cfg.steps + 1):
        rows = train_windows[torch.randint(0, len(train_windows), (cfg.batch,))]
        losses.append(train_step(model, optimizer, rows[:, :-1], rows[:, -1], cfg.clip))
        if step % 30 == 0:
            test = backtest(model, test_windows[:, :-1], test_windows[:, -1])
            print(f"step {step} train mse {np.mean(losses[-30:]):.4f} backtest mse {test:.4f}")
