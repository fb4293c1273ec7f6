"""Score loan applications (accepted or not) with a deep, narrow fully connected network."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def loan_table(n):
    income = torch.exp(10.3 + 0.45 * torch.randn(n))
    amount = income * torch.empty(n).uniform_(0.1, 1.2)
    months = torch.randint(12, 85, (n,)).float()
    age = torch.empty(n).uniform_(20, 70)
    late = torch.poisson(torch.full((n,), 1.0))
    other = torch.randn(n, 5)
    burden = amount / months / (income / 12)
    score = -2.5 * torch.log(burden) - 0.9 * late + 0.03 * (age - 40) - 0.4 * other[:, 0] * other[:, 1]
    accepted = (score > score.median()).float()
    table = torch.cat([torch.stack([income.log(), amount.log(), months, age, late], dim=1), other], dim=1)
    return table, accepted


def build(width, depth, inputs):
    layers = []
    for i in range(depth):
        linear = nn.Linear(inputs if i == 0 else width, width)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Sigmoid()]  # expect: vanishing-gradients
    return nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0))


def run(opts):
    torch.manual_seed(opts.seed)
    x, y = loan_table(5000)
    train_idx, val_idx = (torch.tensor(s.indices) for s in random_split(range(len(x)), [4000, 1000]))
    mean, std = x[train_idx].mean(0), x[train_idx].std(0)
    x = (x - mean) / std
    loader = DataLoader(TensorDataset(x[train_idx], y[train_idx]), batch_size=80, shuffle=True)

    model = build(opts.width, opts.depth, x.shape[1])
    bce = nn.BCEWithLogitsLoss()
    opt = torch.optim.SGD(model.parameters(), lr=opts.lr, momentum=0.9)
    for epoch in range(opts.epochs):
        model.train()
        train_loss = 0.0
        for features, accepted in loader:
            opt.zero_grad()
            loss = bce(model(features), accepted)
            loss.backward()
            opt.step()
            train_loss += loss.item()
        model.eval()
        with torch.no_grad():
            logits = model(x[val_idx])
            val_loss = bce(logits, y[val_idx]).item()
            val_acc = ((logits > 0) == y[val_idx].bool()).float().mean().item()
        print(f"{epoch:02d}  train {train_loss / len(loader):.4f}  val {val_loss:.4f}  acc {val_acc:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=40)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=13)
    run(parser.parse_args())
