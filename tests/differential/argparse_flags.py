# run: argparse_flags.py --lr 0.2 --steps 6 -m --tag=x data/*.csv
"""Options like those of the launcher and of `python` belong to the script."""

import argparse
import sys

import torch
from digest import show

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--steps", type=int)
parser.add_argument("-m", "--momentum", action="store_true")
parser.add_argument("--tag")
parser.add_argument("files", nargs="*")
options = parser.parse_args()
print(options, sys.argv, sys.orig_argv[1:])
torch.manual_seed(0)
x = torch.randn(16, 3)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9 if options.momentum else 0)
losses = []
for _ in range(options.steps):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, model.parameters(), [optimizer])
