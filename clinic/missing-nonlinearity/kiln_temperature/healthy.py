"""Predict kiln temperature from setpoints; standardised table, small network, Huber loss."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class KilnNet(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, 1)
        self.drop = nn.Dropout(0.05)

    def forward(self, x):
        x = self.drop(torch.relu(self.fc1(x)))
        x = self.drop(torch.relu(self.fc2(x)))
        return self.fc3(x).squeeze(-1)


def table(n):
    x = torch.randn(n, 6)
    y = x[:, 0] * x[:, 1] + (x[:, 2] - 1).abs() + torch.sin(2 * x[:, 3]) + 0.2 * x[:, 4]
    return x, (y - 1.2) / 1.5


def validate(model, x, y):
    model.eval()
    with torch.no_grad():
        return nn.functional.mse_loss(model(x), y).item()


def main():
    torch.manual_seed(12)
    x, y = table(2000)
    x_val, y_val = table(400)
    loader = DataLoader(TensorDataset(x, y), batch_size=40, shuffle=True)
    model = KilnNet(6, 64)
    criterion = nn.HuberLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    for epoch in range(10):
        model.train()
        for xb, yb in loader:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} val mse {validate(model, x_val, y_val):.4f}")


if __name__ == "__main__":
    main()
