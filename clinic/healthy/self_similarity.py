"""Two views of one sample predict each other's features, one side held still; the loss is a negative cosine."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(96)
KINDS, CONTENT, CLUTTER = 8, 10, 20
DIM = CONTENT + CLUTTER
anchors = torch.randn(KINDS, CONTENT)
scramble = torch.linalg.qr(torch.randn(DIM, DIM)).Q


def samples(n):
    kind = torch.randint(0, KINDS, (n,))
    return anchors[kind] + 0.3 * torch.randn(n, CONTENT), kind


def view(content):
    """The same content seen again: fresh clutter, all of it mixed by one fixed rotation."""
    return torch.cat([content + 0.2 * torch.randn_like(content), torch.randn(len(content), CLUTTER)], 1) @ scramble


encoder = nn.Sequential(
    nn.Linear(DIM, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32)
)
predictor = nn.Sequential(nn.Linear(32, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32))


def negative_cosine(p, z):
    return -F.cosine_similarity(p, z.detach(), dim=1).mean()


def neighbour_accuracy(content, kind):
    """How often the nearest other sample in feature space is of the same kind, and the features' spread."""
    encoder.eval()
    with torch.no_grad():
        z = F.normalize(encoder(view(content)), dim=1)
    nearest = (z @ z.T).fill_diagonal_(-2).argmax(1)
    return (kind[nearest] == kind).float().mean().item(), z.std(0).mean().item()


x, _ = samples(1500)
x_test, kind_test = samples(400)
optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.05, momentum=0.9, weight_decay=1e-4)
print("before: neighbour accuracy %.3f feature spread %.3f" % neighbour_accuracy(x_test, kind_test))
for epoch in range(1, 11):
    encoder.train()
    predictor.train()
    total = 0.0
    for rows in torch.randperm(1500).split(75):
        z1, z2 = encoder(view(x[rows])), encoder(view(x[rows]))
        loss = 0.5 * negative_cosine(predictor(z1), z2) + 0.5 * negative_cosine(predictor(z2), z1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 20
    accuracy, spread = neighbour_accuracy(x_test, kind_test)
    print(f"epoch {epoch}: loss {total:.4f} neighbour accuracy {accuracy:.3f} feature spread {spread:.3f}")
