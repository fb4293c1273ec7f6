"""Survey panel: will the household switch supplier? Column Q7: 1 = no, 2 = yes."""
import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def survey(n, rng):
    answers = rng.normal(size=(n, 14))
    lean = answers[:, 0] - answers[:, 3] + 0.8 * answers[:, 5] * answers[:, 6] + 0.2 * rng.normal(size=n)
    q7 = np.where(lean > 0, 2, 1)
    return answers.astype(np.float32), q7


def tensors(answers, q7):
    x = torch.from_numpy(answers)
    y = torch.from_numpy(q7).float().unsqueeze(1)  # expect: labels-out-of-range
    return x, y


def fit(args):
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train = DataLoader(TensorDataset(*tensors(*survey(2500, rng))), batch_size=args.batch, shuffle=True)
    xv, yv = tensors(*survey(500, rng))
    net = nn.Sequential(nn.Linear(14, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    criterion = nn.BCEWithLogitsLoss()
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        net.train()
        total = 0.0
        for x, y in train:
            opt.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        net.eval()
        with torch.no_grad():
            said_yes = net(xv) > 0
        acc = (said_yes == (yv == yv.max())).float().mean().item()
        print(f"epoch {epoch} loss {total / len(train):.4f} val acc {acc:.4f} share of yes {said_yes.float().mean():.3f}")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--batch", type=int, default=50)
    p.add_argument("--epochs", type=int, default=12)
    p.add_argument("--seed", type=int, default=4)
    fit(p.parse_args())
