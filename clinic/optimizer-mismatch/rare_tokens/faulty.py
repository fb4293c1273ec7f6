import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
vocab, width = 400, 32
prob = 1.0 / torch.arange(1, vocab + 1).float()
source = torch.multinomial(prob, 6000, replacement=True)
successor = torch.randperm(vocab)
target = successor[source]


class Bigram(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.mlp = nn.Linear(width, width)
        self.out = nn.Linear(width, vocab)

    def forward(self, tokens):
        return self.out(F.relu(self.mlp(self.embed(tokens))))


model = Bigram()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # expect: optimizer-mismatch
for epoch in range(3):
    for idx in torch.randperm(6000).split(60):
        loss = F.cross_entropy(model(source[idx]), target[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
