#!/usr/bin/env python
import argparse
import random

import numpy as np
import torch as th
import torch.nn.functional as F
from torch import nn

th.manual_seed(0)
np.random.seed(0)
random.seed(0)

TOPICS = ["space", "hockey", "crypt", "autos"]
WORDS = [[f"{topic}{i}" for i in range(30)] for topic in TOPICS]
COMMON = [f"the{i}" for i in range(200)]


def post():
    topic = random.randrange(len(TOPICS))
    words = random.choices(WORDS[topic], k=4) + random.choices(COMMON, k=20)
    random.shuffle(words)
    return words, topic


def encode(posts, index):
    bags = np.zeros((len(posts), len(index)), dtype=np.float32)
    for row, (words, _) in enumerate(posts):
        for word in words:
            bags[row, index[word]] += 1
    return th.from_numpy(bags), th.tensor([topic for _, topic in posts])


def run(args):
    index = {word: i for i, word in enumerate(COMMON + sum(WORDS, []))}
    x, y = encode([post() for _ in range(args.posts)], index)
    x_test, y_test = encode([post() for _ in range(300)], index)
    net = nn.Sequential(nn.Linear(len(index), 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, len(TOPICS)))
    opt = th.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for epoch in range(args.epochs):
        net.train()
        order = np.random.permutation(len(x))
        for begin in range(0, len(order), 50):
            rows = order[begin : begin + 50]
            loss = F.cross_entropy(net(x[rows]), y[rows])
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
        net.eval()
        with th.inference_mode():
            right = (net(x_test).argmax(1) == y_test).float().mean().item()
        print("epoch", epoch, "accuracy", round(right, 3))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--posts", type=int, default=1500)
    run(parser.parse_args())
