"""Message passing on power-grid snapshots: which region of the grid is overloaded? Dense adjacency, eight rounds."""
import logging
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("grid")


@dataclass
class Settings:
    buses: int = 24
    feats: int = 4
    width: int = 24
    rounds: int = 8
    graphs: int = 1200
    batch: int = 40
    epochs: int = 10
    lr: float = 0.02
    momentum: float = 0.9


def snapshots(n, cfg, gen):
    link = (torch.rand(n, cfg.buses, cfg.buses, generator=gen) < 0.35).float().triu(1)
    adj = link + link.transpose(1, 2) + torch.eye(cfg.buses)
    x = torch.randn(n, cfg.buses, cfg.feats, generator=gen)
    third = cfg.buses // 3
    x[:, :, 3] = (torch.arange(cfg.buses) // third).float() - 1
    load = torch.relu(x[..., 0] + 0.5 * x[..., 1]).view(n, 3, third).sum(2)
    return x, adj, load.argmax(1)


class Round(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.own = nn.Linear(d, d)
        self.msg = nn.Linear(d, d)

    def forward(self, h, adj):
        incoming = torch.bmm(adj, self.msg(h))
        return h + torch.relu(self.own(h) + incoming)  # expect: exploding-gradients


class GridNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(cfg.feats, cfg.width), nn.ReLU(), nn.Linear(cfg.width, cfg.width), nn.ReLU())
        self.rounds = nn.ModuleList(Round(cfg.width) for _ in range(cfg.rounds))
        self.dec = nn.Linear(cfg.width, 3)

    def forward(self, x, adj):
        h = self.enc(x)
        for r in self.rounds:
            h = r(h, adj)
        return self.dec(h.mean(1))


def accuracy(net, x, adj, y):
    net.eval()
    with torch.no_grad():
        return (net(x, adj).argmax(1) == y).float().mean().item()


def main(cfg):
    torch.manual_seed(0)
    gen = torch.Generator().manual_seed(0)
    train = DataLoader(TensorDataset(*snapshots(cfg.graphs, cfg, gen)), batch_size=cfg.batch, shuffle=True)
    held = snapshots(300, cfg, gen)
    net = GridNet(cfg)
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=cfg.momentum)
    for epoch in range(cfg.epochs):
        net.train()
        total = 0.0
        for x, adj, y in train:
            loss = nn.functional.cross_entropy(net(x, adj), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        log.info("epoch %d loss %.4f held-out acc %.4f", epoch, total / len(train), accuracy(net, *held))


main(Settings())
