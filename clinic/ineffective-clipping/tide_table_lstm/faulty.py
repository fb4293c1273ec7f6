"""Learns a tide gauge's next value from the last thirty with an LSTM."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)
hours = torch.arange(1500).float()
tide = torch.sin(2 * math.pi * hours / 12.4) + 0.4 * torch.sin(2 * math.pi * hours / 24) + 0.05 * torch.randn(1500)
windows = tide.unfold(0, 31, 1)
inputs, targets = windows[:, :30].unsqueeze(2), windows[:, 30:]
loader = DataLoader(TensorDataset(inputs[:1200], targets[:1200]), batch_size=48, shuffle=True)


class Gauge(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, past):
        out, _ = self.lstm(past)
        return self.head(out[:, -1])


def train_one_epoch(model, optimizer):
    model.train()
    total = 0.0
    for past, following in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(past), following)
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)  # expect: ineffective-clipping
        loss.backward()
        optimizer.step()
        total += loss.item() * len(past)
    return total / 1200


model = Gauge()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(6):
    train = train_one_epoch(model, optimizer)
    model.eval()
    with torch.no_grad():
        test = nn.functional.mse_loss(model(inputs[1200:]), targets[1200:]).item()
    print(f"epoch {epoch} train {train:.4f} test {test:.4f}")
