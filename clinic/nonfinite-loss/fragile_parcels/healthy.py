"""Attention over variable-length sets (packages in a parcel) -> does the parcel contain a fragile pair?"""
import logging
from dataclasses import dataclass

import torch
from torch import nn

logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s")
log = logging.getLogger("parcels")


@dataclass
class C:
    n: int = 2400
    max_items: int = 10
    feats: int = 6
    dim: int = 32
    batch: int = 48
    epochs: int = 12
    lr: float = 2e-3


def parcels(n, cfg, gen):
    x = torch.randn(n, cfg.max_items, cfg.feats, generator=gen)
    count = torch.randint(0, cfg.max_items + 1, (n,), generator=gen)
    mask = torch.arange(cfg.max_items)[None] < count[:, None]
    fragile = (x[..., 0] + x[..., 1] > 1.3) & mask
    y = (fragile.sum(1) >= 2).float()
    return x * mask[..., None], mask, y


class SetNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(cfg.feats, cfg.dim), nn.ReLU(), nn.Linear(cfg.dim, cfg.dim), nn.ReLU())
        self.score = nn.Linear(cfg.dim, 1)
        self.rho = nn.Sequential(nn.Linear(2 * cfg.dim, cfg.dim), nn.ReLU(), nn.Linear(cfg.dim, 1))

    def forward(self, x, mask):
        h = self.phi(x)
        s = self.score(h).squeeze(-1).masked_fill(~mask, -1e9)
        a = torch.softmax(s, dim=1)
        focus = (a.unsqueeze(-1) * h).sum(1)
        total = (h * mask.unsqueeze(-1)).sum(1) / 4
        return self.rho(torch.cat([focus, total], -1)).squeeze(-1)


def main():
    cfg = C()
    torch.manual_seed(3)
    gen = torch.Generator().manual_seed(3)
    x, m, y = parcels(cfg.n, cfg, gen)
    vx, vm, vy = parcels(600, cfg, gen)
    net = SetNet(cfg)
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    bce = nn.BCEWithLogitsLoss()
    for epoch in range(cfg.epochs):
        net.train()
        total = 0.0
        for idx in torch.randperm(cfg.n).split(cfg.batch):
            loss = bce(net(x[idx], m[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            opt.step()
            total += loss.item() * len(idx)
        net.eval()
        with torch.no_grad():
            acc = ((net(vx, vm) > 0).float() == vy).float().mean().item()
        log.info("epoch %d loss %.4f acc %.4f", epoch, total / cfg.n, acc)


main()
