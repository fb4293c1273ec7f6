"""Recognise ten wrist gestures in windows of a three-axis accelerometer."""

import torch
import torch.nn as nn
import torch.nn.functional as F

NUM_GESTURES, LENGTH = 10, 40


def record(n, seed):
    """Each gesture has its own pair of frequencies and its own axis of strongest movement."""
    gen = torch.Generator().manual_seed(seed)
    label = torch.randint(0, NUM_GESTURES, (n,), generator=gen)
    time = torch.linspace(0, 6.2832, LENGTH)
    slow = 1.0 + label % 5
    phase = torch.rand(n, 3, 1, generator=gen) * 6.2832
    wave = torch.sin(slow[:, None, None] * time + phase)
    strength = torch.where(label < 5, 1.0, 0.35)[:, None] * torch.tensor([[1.0, 0.6, 0.8]])
    strength = torch.where((label >= 5)[:, None], strength.flip(1) * 2.4, strength)
    signal = strength[:, :, None] * wave + 0.25 * torch.randn(n, 3, LENGTH, generator=gen)
    return signal, label


class GestureNet(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.stem = nn.Conv1d(3, width, kernel_size=7, padding=3)
        self.block = nn.Conv1d(width, width, kernel_size=7, padding=3)
        self.classifier = nn.Linear(width, NUM_GESTURES)

    def forward(self, signal):
        h = F.max_pool1d(F.relu(self.stem(signal)), 2)
        h = F.relu(self.block(h)).mean(dim=2)
        return self.classifier(h)


class Experiment:
    def __init__(self, steps=400, batch_size=64, lr=5e-3):
        torch.manual_seed(17)
        self.steps, self.batch_size = steps, batch_size
        self.train_x, self.train_y = record(2400, seed=100)
        self.dev_x, self.dev_y = record(600, seed=101)
        self.net = GestureNet()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=lr)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=steps)

    def loss(self, scores, label):
        return F.cross_entropy(scores, label)

    @torch.no_grad()
    def dev_accuracy(self):
        self.net.eval()
        accuracy = (self.net(self.dev_x).argmax(dim=1) == self.dev_y).float().mean().item()
        self.net.train()
        return accuracy

    def run(self):
        self.net.train()
        for step in range(self.steps):
            pick = torch.randint(0, len(self.train_y), (self.batch_size,))
            loss = self.loss(self.net(self.train_x[pick]), self.train_y[pick])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            if step % 50 == 0 or step == self.steps - 1:
                print(f"step {step:4d}  loss {loss.item():.4f}  dev accuracy {self.dev_accuracy():.3f}")


if __name__ == "__main__":
    Experiment().run()
