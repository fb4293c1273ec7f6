"""Snapshot ensemble: one run with a cyclic rate, the members are the weights at the end of each cycle."""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call


class Net(nn.Module):
    def __init__(self, d=8, width=96):
        super().__init__()
        self.fc1 = nn.Linear(d, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x).squeeze(1)


def process(n, gen):
    x = torch.randn(n, 8, generator=gen)
    y = torch.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3].abs()
    return x, (y - 0.4) / 1.3 + 0.3 * torch.randn(n, generator=gen)


def cycle_lr(step, per_cycle, top):
    return 0.5 * top * (1 + math.cos(math.pi * (step % per_cycle) / per_cycle))


def train_snapshots(model, x, y, cycles=5, epochs_per_cycle=8, batch=40, top=0.02):
    optimizer = torch.optim.Adam(model.parameters(), lr=top)
    per_cycle = epochs_per_cycle * math.ceil(len(x) / batch)
    members, step = [], 0
    for cycle in range(cycles):
        model.train()
        total = 0.0
        for _ in range(epochs_per_cycle):
            total = 0.0
            for idx in torch.randperm(len(x)).split(batch):
                for g in optimizer.param_groups:
                    g["lr"] = cycle_lr(step, per_cycle, top)
                loss = F.mse_loss(model(x[idx]), y[idx])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(idx)
                step += 1
        members.append(copy.deepcopy(model.state_dict()))
        print(f"cycle {cycle + 1} last epoch loss {total / len(x):.4f}")
    return members


@torch.no_grad()
def predict(model, members, x):
    model.eval()
    return torch.stack([functional_call(model, m, (x,)) for m in members])


def main():
    torch.manual_seed(0)
    gen = torch.Generator().manual_seed(0)
    x, y = process(1000, gen)
    x_test, y_test = process(1000, gen)
    model = Net()
    members = train_snapshots(model, x, y)
    outputs = predict(model, members, x_test)
    for k, out in enumerate(outputs):
        print(f"member {k + 1} test mse {F.mse_loss(out, y_test).item():.4f}")
    print(f"ensemble of {len(members)} test mse {F.mse_loss(outputs.mean(0), y_test).item():.4f}")


if __name__ == "__main__":
    main()
