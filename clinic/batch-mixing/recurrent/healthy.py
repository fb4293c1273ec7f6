"""Which class does a noisy waveform belong to? Reads (batch, time, channel)."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class WaveNetwork(nn.Module):
    def __init__(self, channels=2, hidden=24, classes=3):
        super().__init__()
        self.rnn = nn.GRU(channels, hidden, batch_first=True)
        self.out = nn.Linear(hidden, classes)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.out(h[:, -1])


def make_data(n, length):
    t = torch.linspace(0, 6.28, length)
    label = torch.randint(0, 3, (n,))
    freq = 1.0 + label.float()
    phase = torch.rand(n) * 6.28
    wave = torch.sin(freq[:, None] * t + phase[:, None])
    other = torch.cos(freq[:, None] * t + phase[:, None])
    return torch.stack([wave, other], -1) + 0.1 * torch.randn(n, length, 2), label


torch.manual_seed(11)
x, y = make_data(480, 20)
train_loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
model = WaveNetwork()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(6):
    model.train()
    for xb, yb in train_loader:
        loss = loss_fn(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"{epoch}: {loss.item():.3f}")
