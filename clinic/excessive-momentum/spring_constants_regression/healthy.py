"""Regresses spring constants on measured displacements."""

import argparse

import torch
import torch.nn.functional as F


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--steps", type=int, default=300)
    return parser.parse_args()


def measure(count, generator):
    force = torch.rand(count, 5, generator=generator) * 2 - 1
    constant = 1.5 * force[:, :1] + torch.sin(3 * force[:, 1:2]) + force[:, 2:3] * force[:, 3:4]
    return 1.7 * force, constant / 1.2


def main(args):
    torch.manual_seed(7)
    generator = torch.Generator().manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(5, 80), torch.nn.ReLU(), torch.nn.Linear(80, 80), torch.nn.ReLU())
    head = torch.nn.Linear(80, 1)
    params = [*net.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(params, lr=args.lr, momentum=args.momentum, nesterov=True)
    for step in range(1, args.steps + 1):
        force, constant = measure(64, generator)
        loss = F.mse_loss(head(net(force)), constant)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 30 == 0:
            print(step, f"{loss.item():.4g}")


main(parse())
