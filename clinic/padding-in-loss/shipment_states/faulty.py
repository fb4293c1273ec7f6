"""State of a shipment (waiting, moving, delivered) from scanner readings; unlabelled rows carry -100."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def readings(n):
    x = torch.randn(n, 8)
    score = torch.stack([x[:, 0] + x[:, 1], x[:, 2] - x[:, 3], x[:, 4] * 1.4], 1)
    state = score.argmax(1)
    return x, state


class StateNet(nn.Module):
    def __init__(self, dropout=0.1):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 3))

    def forward(self, x):
        return self.net(x)


def main():
    torch.manual_seed(36)
    loader = DataLoader(TensorDataset(*readings(1500)), batch_size=50, shuffle=True)
    x_test, state_test = readings(400)
    model = StateNet()
    criterion = nn.CrossEntropyLoss(ignore_index=0)  # expect: padding-in-loss
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(8):
        model.train()
        for x, state in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), state)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            known = state_test >= 0
            right = (model(x_test).argmax(1) == state_test)[known].float().mean().item()
        print(f"epoch {epoch} loss {loss.item():.3f} right {right:.3f}")


main()
