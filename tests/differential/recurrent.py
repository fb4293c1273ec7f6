"""Packed sequences, truncated backpropagation, a state that is carried on."""

import torch
from digest import show
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

torch.manual_seed(0)
rnn, head = nn.GRU(3, 6), nn.Linear(6, 5)
parameters = [*rnn.parameters(), *head.parameters()]
optimizer = torch.optim.RMSprop(parameters, 0.01)
state, losses = torch.zeros(1, 4, 6), []
for _ in range(8):
    sequences = [torch.randn(length, 3) for length in (7, 5, 4, 2)]
    packed = pack_padded_sequence(pad_sequence(sequences), [7, 5, 4, 2])
    output, state = rnn(packed, state.detach())
    output, lengths = pad_packed_sequence(output)
    target = torch.randint(0, 5, (7, 4)).masked_fill_(torch.arange(7)[:, None] >= lengths, -100)
    loss = nn.functional.cross_entropy(head(output).flatten(0, 1), target.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(parameters, 0.5)
    optimizer.step()
    losses.append(loss.item())
show(losses, [*parameters, state], [optimizer])
