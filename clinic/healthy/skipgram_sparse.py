"""Word vectors by skip-gram with negative sampling, sparse embedding gradients and SparseAdam."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(45)
TOPICS, PER_TOPIC = 8, 15
VOCAB = TOPICS * PER_TOPIC


def co_occurrences(n):
    topic = torch.randint(0, TOPICS, (n,))
    centre = topic * PER_TOPIC + torch.randint(0, PER_TOPIC, (n,))
    context = topic * PER_TOPIC + torch.randint(0, PER_TOPIC, (n,))
    stray = torch.rand(n) < 0.1
    return centre, torch.where(stray, torch.randint(0, VOCAB, (n,)), context)


class SkipGram(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.centre = nn.Embedding(VOCAB, dim, sparse=True)
        self.context = nn.Embedding(VOCAB, dim, sparse=True)
        nn.init.uniform_(self.centre.weight, -0.5, 0.5)
        nn.init.uniform_(self.context.weight, -0.5, 0.5)

    def forward(self, centre, context, negatives):
        v = self.centre(centre)
        near = (v * self.context(context)).sum(1)
        far = torch.bmm(self.context(negatives), v.unsqueeze(2)).squeeze(2)
        return -(F.logsigmoid(near) + F.logsigmoid(-far).sum(1)).mean()


def same_topic_share(model, k=5):
    with torch.no_grad():
        vectors = F.normalize(model.centre.weight, dim=1)
        nearest = (vectors @ vectors.T).fill_diagonal_(-1).topk(k, dim=1).indices
    own = torch.arange(VOCAB) // PER_TOPIC
    return (nearest // PER_TOPIC == own[:, None]).float().mean().item()


model = SkipGram()
optimizer = torch.optim.SparseAdam(list(model.parameters()), lr=0.01)
recent = 0.0
for step in range(1, 401):
    centre, context = co_occurrences(256)
    negatives = torch.randint(0, VOCAB, (256, 4))
    loss = model(centre, context, negatives)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent += loss.item() / 50
    if step % 50 == 0:
        print(f"step {step}: loss {recent:.4f} neighbours of the same topic {same_topic_share(model):.3f}")
        recent = 0.0
