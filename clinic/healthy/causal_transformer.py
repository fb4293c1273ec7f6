"""Decoder-only transformer that learns a language in which two symbols mostly decide the third."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class CausalBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 3 * dim), nn.GELU(), nn.Linear(3 * dim, dim))

    def forward(self, x):
        n, t, dim = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(mixed.transpose(1, 2).reshape(n, t, dim))
        return x + self.mlp(self.norm2(x))


class SmallDecoder(nn.Module):
    def __init__(self, vocab=8, block=20, dim=32, heads=2, depth=2):
        super().__init__()
        self.tokens = nn.Embedding(vocab, dim)
        self.places = nn.Embedding(block, dim)
        self.blocks = nn.Sequential(*[CausalBlock(dim, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab, bias=False)

    def forward(self, ids, targets=None):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        logits = self.head(self.norm(self.blocks(x)))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def get_batch(n, length=20, vocab=8):
    rule = torch.randint(0, vocab, (vocab, vocab), generator=torch.Generator().manual_seed(7))
    chain = [torch.randint(0, vocab, (n,)), torch.randint(0, vocab, (n,))]
    for _ in range(length - 1):
        stray = torch.rand(n) < 0.15
        chain.append(torch.where(stray, torch.randint(0, vocab, (n,)), rule[chain[-2], chain[-1]]))
    chain = torch.stack(chain, 1)
    return chain[:, :-1], chain[:, 1:]


def main(max_iters=280, eval_every=40):
    torch.manual_seed(1337)
    model = SmallDecoder()
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95))
    for it in range(max_iters):
        if it % eval_every == 0 or it == max_iters - 1:
            model.eval()
            with torch.no_grad():
                ids, targets = get_batch(200)
                logits, loss = model(ids, targets)
                late = (logits[:, 1:].argmax(-1) == targets[:, 1:]).float().mean().item()
            print(f"iter {it}: held-out loss {loss.item():.4f}, accuracy {late:.3f}")
            model.train()
        _, loss = model(*get_batch(32))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
