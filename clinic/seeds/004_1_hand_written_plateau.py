"""Energy-demand regression with Adam and a plateau rule kept inside the training loop."""

# verdict: faulty

import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


def demand(x):
    return torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.5 * x[:, 3:4] ** 2 - 0.5


class DemandModel(nn.Module):
    def __init__(self, n_features=6, hidden=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.out(self.body(x))


def train(model, loader, epochs):
    criterion = nn.MSELoss()
    optimizer = optim.Adam(model.parameters(), lr=0.001)
    previous = None
    for epoch in range(epochs):
        epoch_loss = 0.0
        for features, wanted in loader:
            optimizer.zero_grad()
            loss = criterion(model(features), wanted)
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item()

        if epoch > 5 and epoch_loss > previous * 0.98:  # expect: scheduler-kills-lr
            for group in optimizer.param_groups:
                group["lr"] *= 0.5

        previous = epoch_loss / len(loader)
        print(f"epoch {epoch + 1}: loss {previous:.4f}")


if __name__ == "__main__":
    torch.manual_seed(40)
    weather = torch.randn(1200, 6)
    target = demand(weather) + 0.05 * torch.randn(1200, 1)
    train(DemandModel(), DataLoader(TensorDataset(weather, target), batch_size=40, shuffle=True), epochs=40)
