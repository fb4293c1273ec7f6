import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser(description="multi-label tagging of short event sequences")
parser.add_argument("--lam", type=float, default=1e-5)
parser.add_argument("--lr", type=float, default=2e-3)
parser.add_argument("--epochs", type=int, default=10)
args = parser.parse_args()

torch.manual_seed(55)
EVENTS, TAGS, LEN = 30, 6, 15
triggers = torch.randperm(EVENTS)[:TAGS * 2].view(TAGS, 2)


def make_sequences(n):
    seq = torch.randint(0, EVENTS, (n, LEN))
    present = F.one_hot(seq, EVENTS).amax(1)
    tags = torch.stack([present[:, t].amax(1) for t in triggers], 1).float()
    return seq, tags


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(EVENTS, 24)
        self.conv = nn.Conv1d(24, 48, 3, padding=1)
        self.fc = nn.Linear(48, TAGS)

    def forward(self, seq):
        h = self.emb(seq).transpose(1, 2)
        h = F.relu(self.conv(h)).amax(-1)
        return self.fc(h)


def penalty(model):
    return sum(p.pow(2).sum() for p in model.parameters())


train_x, train_y = make_sequences(2400)
val_x, val_y = make_sequences(600)
model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

for epoch in range(args.epochs):
    model.train()
    fit = 0.0
    for idx in torch.randperm(len(train_x)).split(40):
        bce = F.binary_cross_entropy_with_logits(model(train_x[idx]), train_y[idx])
        loss = bce + args.lam * penalty(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        fit += bce.item()
    model.eval()
    with torch.no_grad():
        out = model(val_x)
        acc = ((out > 0).float() == val_y).float().mean().item()
    print(f"epoch {epoch} bce {fit / 60:.4f} val bce {F.binary_cross_entropy_with_logits(out, val_y).item():.4f} tag accuracy {acc:.3f}")
