"""Attention with a mask and tied weights; evaluation takes the fast path."""

import torch
from digest import show
from torch import nn

torch.manual_seed(0)
embedding = nn.Embedding(11, 8)
encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
parameters = [*embedding.parameters(), *encoder.parameters()]
optimizer = torch.optim.AdamW(parameters, 0.01)
tokens = torch.randint(0, 11, (6, 9))
mask = nn.Transformer.generate_square_subsequent_mask(8)
losses = []
for _ in range(6):
    output = encoder(embedding(tokens[:, :-1]), mask, is_causal=True) @ embedding.weight.T
    loss = nn.functional.cross_entropy(output.transpose(1, 2), tokens[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    encoder.eval()
    with torch.no_grad():
        losses.append(encoder(embedding(tokens)).sum())
    encoder.train()
show(losses, parameters, [optimizer])
