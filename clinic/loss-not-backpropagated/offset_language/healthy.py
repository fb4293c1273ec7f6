"""Small causal transformer on a copy-with-offset language; trainer class as in our internal template."""
import math
from typing import Dict

import torch
from torch import nn

VOCAB, BLOCK = 20, 16


def corpus(n: int, seed: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    start = torch.randint(0, VOCAB, (n, 1), generator=g)
    stride = torch.randint(1, 4, (n, 1), generator=g)
    return (start + stride * torch.arange(BLOCK + 1)) % VOCAB


class TinyGPT(nn.Module):
    def __init__(self, dim: int = 48):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, dim)
        self.pos = nn.Parameter(0.02 * torch.randn(BLOCK, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(dim, VOCAB)
        self.register_buffer("mask", torch.triu(torch.full((BLOCK, BLOCK), -math.inf), 1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.tok(ids) + self.pos, mask=self.mask))


class Trainer:
    def __init__(self, model: nn.Module, lr: float = 1e-3):
        self.model = model
        self.opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
        self.metrics: Dict[str, float] = {}

    def compute_loss(self, batch: torch.Tensor) -> torch.Tensor:
        logits = self.model(batch[:, :-1])
        return nn.functional.cross_entropy(logits.reshape(-1, VOCAB), batch[:, 1:].reshape(-1))

    def training_step(self, batch: torch.Tensor) -> None:
        self.model.train()
        loss = self.compute_loss(batch)
        penalty = 1e-4 * sum(p.pow(2).sum() for p in self.model.parameters())
        self.opt.zero_grad()
        (loss + penalty).backward()
        self.opt.step()
        self.metrics["train"] = loss.item()
        self.metrics["penalty"] = penalty.item()

    @torch.no_grad()
    def validate(self, data: torch.Tensor) -> None:
        self.model.eval()
        logits = self.model(data[:, :-1])
        self.metrics["val"] = nn.functional.cross_entropy(logits.reshape(-1, VOCAB), data[:, 1:].reshape(-1)).item()
        self.metrics["acc"] = (logits.argmax(-1) == data[:, 1:]).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(9)
    train, val = corpus(1600, 0), corpus(200, 1)
    trainer = Trainer(TinyGPT())
    for epoch in range(6):
        for idx in torch.randperm(len(train)).split(32):
            trainer.training_step(train[idx])
        trainer.validate(val)
        print(epoch, {k: round(v, 4) for k, v in trainer.metrics.items()})
