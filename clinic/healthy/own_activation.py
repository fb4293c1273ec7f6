"""Regression with a hand-written smooth activation and its hand-written derivative."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class SquarePlusFunction(torch.autograd.Function):
    """(x + sqrt(x^2 + b)) / 2, whose slope is (1 + x / sqrt(x^2 + b)) / 2."""

    @staticmethod
    def forward(ctx, x, b):
        root = torch.sqrt(x * x + b)
        ctx.save_for_backward(x, root)
        return (x + root) / 2

    @staticmethod
    def backward(ctx, grad_output):
        x, root = ctx.saved_tensors
        return grad_output * (1 + x / root) / 2, None


class SquarePlus(nn.Module):
    def __init__(self, b=2.0):
        super().__init__()
        self.b = b

    def forward(self, x):
        return SquarePlusFunction.apply(x, self.b)


def wind_power(n):
    speed, angle, density = torch.randn(n, 3).unbind(1)
    power = torch.sigmoid(3 * speed) * (1 + 0.3 * density) * torch.cos(angle)
    return torch.stack([speed, angle, density], 1), ((power - 0.3) / 0.45)[:, None]


if __name__ == "__main__":
    torch.manual_seed(57)
    loader = DataLoader(TensorDataset(*wind_power(1800)), batch_size=60, shuffle=True)
    x_val, y_val = wind_power(400)
    model = nn.Sequential(nn.Linear(3, 40), SquarePlus(), nn.Linear(40, 40), SquarePlus(), nn.Linear(40, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    criterion = nn.MSELoss()
    for epoch in range(16):
        model.train()
        train_loss = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            train_loss += loss.item() / len(loader)
        model.eval()
        with torch.no_grad():
            val_loss = criterion(model(x_val), y_val).item()
        if epoch % 3 == 0:
            print(f"epoch {epoch:02d} train={train_loss:.5f} val={val_loss:.5f}")
