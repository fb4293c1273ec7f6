"""A two-layer causal transformer on a synthetic language, AdamW with clipping and a warm-up."""

import sys

import torch
from torch import nn
from torch.nn import functional as F

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 120
VOCABULARY, WIDTH, LENGTH = 96, 96, 64

torch.manual_seed(0)
following = torch.randint(0, VOCABULARY, (VOCABULARY, 3))


def sentences(count):
    tokens = torch.randint(0, VOCABULARY, (count, 1))
    for _ in range(LENGTH):
        tokens = torch.cat([tokens, following[tokens[:, -1], torch.randint(0, 3, (count,))].unsqueeze(1)], 1)
    return tokens


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, VOCABULARY)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH))

    def forward(self, x):
        return self.head(self.layers(self.tokens(x) + self.places, mask=self.mask, is_causal=True))


model = Language()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 20))
corpus = sentences(512)
for step in range(STEPS):
    batch = corpus[torch.randint(0, len(corpus), (16,))]
    logits = model(batch[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    if step % 20 == 0:
        print(step, f"{loss.item():.17g}")
