"""Predict the outflow of a reservoir from inflow, rain and level readings with a deep MLP."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, x):
        return torch.relu(self.fc2(torch.relu(self.fc1(x))))


class FlowNet(nn.Module):
    def __init__(self, features, width, depth):
        super().__init__()
        self.stem = nn.Linear(features, width)
        self.blocks = [Block(width) for _ in range(depth)]  # expect: unregistered-parameters
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x).squeeze(-1)


def make_table(n):
    x = torch.randn(n, 8)
    flow = torch.sin(2 * x[:, 0]) * x[:, 1] + torch.relu(x[:, 2] - x[:, 3]) + 0.5 * torch.cos(3 * x[:, 4])
    return x, (flow - flow.mean()) / flow.std() + 0.05 * torch.randn(n)


def evaluate(model, loader):
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            total += nn.functional.mse_loss(model(x), y, reduction="sum").item()
            count += len(y)
    return total / count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--lr", type=float, default=2e-3)
    args = parser.parse_args()

    torch.manual_seed(3)
    data = TensorDataset(*make_table(2400))
    train_set, val_set = random_split(data, [2000, 400])
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=200)

    model = FlowNet(8, args.width, depth=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        running = 0.0
        for x, y in train_loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item() * len(y)
        print(f"epoch {epoch:2d}  train {running / len(train_set):.4f}  val {evaluate(model, val_loader):.4f}")


if __name__ == "__main__":
    main()
