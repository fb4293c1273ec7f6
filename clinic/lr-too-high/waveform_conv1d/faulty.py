"""Recognise the shape of a noisy periodic signal (sine, square, sawtooth, pulse) with a 1-d convolutional net."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Waveforms(Dataset):
    def __init__(self, size, length=64, seed=0):
        rng = np.random.default_rng(seed)
        t = np.linspace(0.0, 1.0, length, endpoint=False)
        self.kinds = rng.integers(0, 4, size)
        phase = rng.uniform(0, 1, (size, 1))
        cycles = rng.uniform(2, 4, (size, 1))
        u = (cycles * t + phase) % 1.0
        square, pulse = np.where(u < 0.5, 1.0, -1.0), np.where(u < 0.15, 2.0, -0.3)
        shapes = np.stack([np.sin(2 * np.pi * u), square, 2 * u - 1, pulse])
        signal = shapes[self.kinds, np.arange(size)] + 0.25 * rng.standard_normal((size, length))
        self.signal = signal.astype(np.float32)

    def __len__(self):
        return len(self.kinds)

    def __getitem__(self, i):
        return torch.from_numpy(self.signal[i]).unsqueeze(0), int(self.kinds[i])


class WaveNetlet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 12, 7, padding=3)
        self.conv2 = nn.Conv1d(12, 24, 5, padding=2)
        self.pool = nn.MaxPool1d(4)
        self.act = nn.Tanh()
        self.fc = nn.Linear(24 * 4, classes)

    def forward(self, x):
        x = self.pool(self.act(self.conv1(x)))
        x = self.pool(self.act(self.conv2(x)))
        return self.fc(x.flatten(1))


class Trainer:
    def __init__(self, model, train_set, val_set, lr, batch_size=64):
        self.model = model
        self.loader = DataLoader(train_set, batch_size=batch_size, shuffle=True)
        self.val_loader = DataLoader(val_set, batch_size=256)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)  # expect: lr-too-high

    def run_epoch(self):
        self.model.train()
        total, seen = 0.0, 0
        for signal, kind in self.loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(signal), kind)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(kind)
            seen += len(kind)
        return total / seen

    @torch.no_grad()
    def score(self):
        self.model.eval()
        correct = sum((self.model(signal).argmax(1) == kind).sum().item() for signal, kind in self.val_loader)
        return correct / len(self.val_loader.dataset)

    def fit(self, epochs):
        for epoch in range(epochs):
            loss = self.run_epoch()
            print(f"[{epoch + 1:02d}/{epochs}] loss={loss:.4f} val_acc={self.score():.4f}")


if __name__ == "__main__":
    torch.manual_seed(3)
    trainer = Trainer(WaveNetlet(), Waveforms(1600, seed=1), Waveforms(400, seed=2), lr=1.0)  # expect: lr-too-high
    trainer.fit(epochs=10)
