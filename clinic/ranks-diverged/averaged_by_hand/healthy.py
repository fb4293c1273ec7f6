# run: torchrun --standalone --nproc-per-node 2
import os

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn


class Regressor(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.inner = nn.Linear(6, width)
        self.outer = nn.Linear(width, 1)

    def forward(self, x):
        return self.outer(torch.tanh(self.inner(x))).squeeze(1)


class Trainer:
    def __init__(self, rank, world):
        self.rank, self.world = rank, world
        torch.manual_seed(1234 + rank)
        self.net = Regressor()
        for p in self.net.parameters():
            dist.broadcast(p.data, src=0)
        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9)
        x = torch.randn(1024, 6, generator=torch.Generator().manual_seed(0))
        y = torch.sin(x[:, 0]) + 0.5 * x[:, 1] - 0.3 * x[:, 2] * x[:, 3]
        self.x, self.y = x[rank::world], y[rank::world]

    def average_gradients(self):
        for p in self.net.parameters():
            dist.all_reduce(p.grad)
            p.grad /= self.world

    def train(self, epochs=20, batch=32):
        for epoch in range(epochs):
            order = torch.randperm(len(self.x))
            running = 0.0
            for start in range(0, len(order), batch):
                pick = order[start : start + batch]
                loss = F.mse_loss(self.net(self.x[pick]), self.y[pick])
                self.opt.zero_grad()
                loss.backward()
                self.average_gradients()
                self.opt.step()
                running += loss.item() * len(pick)
            if self.rank == 0 and epoch % 5 == 4:
                print("epoch", epoch + 1, "mse", running / len(self.x))


def main():
    dist.init_process_group("gloo")
    Trainer(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])).train()
    dist.destroy_process_group()


main()
