"""Softmax regression with one hidden layer on blobs, the loss written out."""

import torch
from sklearn.datasets import make_blobs

torch.manual_seed(44)
points, kinds = make_blobs(1000, 10, centers=5, cluster_std=3.0, random_state=44)
points = torch.tensor((points - points.mean(0)) / points.std(0), dtype=torch.float32)
kinds = torch.tensor(kinds)
order = torch.randperm(1000)
points, kinds = points[order], kinds[order]


def layer(inputs, outputs):
    weight = torch.randn(inputs, outputs) * (2 / inputs) ** 0.5
    return weight.requires_grad_(), torch.zeros(outputs, requires_grad=True)


w1, b1 = layer(10, 40)
w2, b2 = layer(40, 5)
optimizer = torch.optim.SGD([w1, b1, w2, b2], lr=0.2)  # expect: sum-reduction


def logits(x):
    return torch.relu(x @ w1 + b1) @ w2 + b2


for epoch in range(12):
    for rows in torch.randperm(800).split(80):
        log_p = torch.log_softmax(logits(points[rows]), dim=1)
        picked = log_p.gather(1, kinds[rows].unsqueeze(1))
        loss = -picked.sum()  # expect: sum-reduction
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (logits(points[800:]).argmax(1) == kinds[800:]).float().mean()
    print(f"{epoch} loss {loss.item():.3f} accuracy {right:.3f}")
