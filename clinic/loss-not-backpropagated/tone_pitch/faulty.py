"""Pitch class of a short tone; a training class keeps model, optimizer and history."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def tones(n, rng):
    """64 samples of a sine of one of five frequencies with random phase and noise."""
    pitch = rng.integers(0, 5, n)
    time = np.arange(64) / 64
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    wave = np.sin(2 * np.pi * (3 + 2 * pitch[:, None]) * time + phase) + 0.2 * rng.standard_normal((n, 64))
    return torch.tensor(wave, dtype=torch.float32).unsqueeze(1), torch.tensor(pitch)


class PitchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 16, 9, stride=2, padding=4)
        self.pool = nn.AdaptiveMaxPool1d(4)
        self.fc = nn.Linear(64, 5)

    def forward(self, x):
        return self.fc(self.pool(F.relu(self.conv(x))).flatten(1))


class Fitting:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
        self.history = []

    def batch(self, x, y):
        output = self.model(x)
        loss = F.cross_entropy(output, y)
        self.optimizer.zero_grad()
        output.mean().backward()  # expect: loss-not-backpropagated
        self.optimizer.step()
        self.history.append(loss.item())

    def run(self, x, y, epochs):
        for epoch in range(epochs):
            for rows in torch.randperm(len(x)).split(32):
                self.batch(x[rows], y[rows])
            print(f"[{epoch}] {np.mean(self.history[-20:]):.4f}")


torch.manual_seed(17)
rng = np.random.default_rng(17)
fitting = Fitting(PitchNet())
fitting.run(*tones(800, rng), epochs=6)
