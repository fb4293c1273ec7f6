"""Mean glucose of the marked reading in a noisy day: a sequence regressor that weighs its time steps."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class AttentiveRegressor(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.project = nn.Sequential(nn.Linear(inputs, width), nn.Tanh())
        self.score = nn.Linear(width, 1)
        self.value = nn.Linear(inputs, 8)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        weights = torch.softmax(self.score(self.project(x)), dim=-1)  # expect: constant-output
        context = (weights * self.value(x)).sum(dim=1)
        return self.head(context).squeeze(-1)


def days(n, steps=12):
    readings = torch.randn(n, steps)
    marks = torch.zeros(n, steps)
    where = torch.randint(0, steps, (n,))
    marks[torch.arange(n), where] = 1.0
    return torch.stack([readings, marks * 2 - 0.2], dim=-1), readings[torch.arange(n), where]


def main():
    torch.manual_seed(40)
    loader = DataLoader(TensorDataset(*days(1600)), batch_size=40, shuffle=True)
    x_val, y_val = days(300)
    model = AttentiveRegressor(2, 24)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(10):
        model.train()
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            print(f"epoch {epoch} val {nn.functional.mse_loss(model(x_val), y_val).item():.4f}")


if __name__ == "__main__":
    main()
