import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    vocab: int = 16
    block: int = 12
    dim: int = 48
    heads: int = 4
    layers: int = 2
    batch: int = 48
    epochs: int = 8
    steps_per_epoch: int = 50
    lr: float = 3e-3
    warmup: int = 100


cfg = Config()
torch.manual_seed(1337)


def get_batch(n):
    """Modular counting: each sequence has its own start and stride."""
    a = torch.randint(0, cfg.vocab, (n, 1))
    d = torch.randint(1, cfg.vocab, (n, 1))
    s = (a + d * torch.arange(cfg.block + 1)) % cfg.vocab
    return s[:, :-1], s[:, 1:]


class TinyGPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(cfg.vocab, cfg.dim)
        self.pos = nn.Parameter(0.02 * torch.randn(1, cfg.block, cfg.dim))
        layer = nn.TransformerEncoderLayer(cfg.dim, cfg.heads, 4 * cfg.dim, 0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, cfg.layers, norm=nn.LayerNorm(cfg.dim), enable_nested_tensor=False)
        self.head = nn.Linear(cfg.dim, cfg.vocab, bias=False)
        self.register_buffer("mask", torch.triu(torch.full((cfg.block, cfg.block), float("-inf")), 1))

    def forward(self, idx):
        return self.head(self.blocks(self.tok(idx) + self.pos, mask=self.mask))


def schedule(it):
    total = cfg.epochs * cfg.steps_per_epoch
    if it < cfg.warmup:
        return (it + 1) / cfg.warmup
    return 0.5 * (1 + math.cos(math.pi * (it - cfg.warmup) / (total - cfg.warmup)))


@torch.no_grad()
def validation_loss(model):
    model.eval()
    x, y = get_batch(400)
    loss = F.cross_entropy(model(x)[:, 1:].flatten(0, 1), y[:, 1:].flatten())
    model.train()
    return loss.item()


model = TinyGPT()
optimizer = torch.optim.SGD(model.parameters(), lr=100 * cfg.lr, momentum=0.9)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
for epoch in range(cfg.epochs):
    total = 0.0
    for _ in range(cfg.steps_per_epoch):
        x, y = get_batch(cfg.batch)
        loss = F.cross_entropy(model(x)[:, 1:].flatten(0, 1), y[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    scheduler.step()  # expect: scheduler-order
    print(f"epoch {epoch} lr {optimizer.param_groups[0]['lr']:.5f} train {total / cfg.steps_per_epoch:.4f} val {validation_loss(model):.4f}")
