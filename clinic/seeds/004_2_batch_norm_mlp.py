"""Fault-code classifier with batch normalisation between its first layer and the activation."""

# verdict: healthy

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class FaultCodeNet(nn.Module):
    def __init__(self, n_in, n_hidden, n_out):
        super().__init__()
        self.first = nn.Linear(n_in, n_hidden)
        self.norm = nn.BatchNorm1d(n_hidden)
        self.act = nn.ReLU()
        self.last = nn.Linear(n_hidden, n_out)

    def forward(self, signals):
        return self.last(self.act(self.norm(self.first(signals))))


def signals_with_codes(n, mixing):
    signals = torch.randn(n, 16)
    codes = (signals @ mixing).tanh().argmax(dim=1)
    return TensorDataset(signals, codes)


torch.manual_seed(44)
mixing = torch.randn(16, 5)
train_loader = DataLoader(signals_with_codes(2400, mixing), batch_size=60, shuffle=True)
valid_loader = DataLoader(signals_with_codes(600, mixing), batch_size=200)

model = FaultCodeNet(16, 64, 5)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

for epoch in range(15):
    model.train()
    running = 0.0
    for signals, codes in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(signals), codes)
        loss.backward()
        optimizer.step()
        running += loss.item()
    model.eval()
    right = 0
    with torch.no_grad():
        for signals, codes in valid_loader:
            right += (model(signals).argmax(1) == codes).sum().item()
    print(f"epoch {epoch + 1:2d} loss {running / len(train_loader):.4f} valid accuracy {right / 600:.3f}")
