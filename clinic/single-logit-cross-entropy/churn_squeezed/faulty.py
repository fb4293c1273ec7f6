"""Will a customer leave? Monthly usage figures, an encoder and a single score."""

import numpy as np
import torch
import torch.nn as nn


def customers(count, rng):
    usage = rng.normal(size=(count, 9)).astype(np.float32)
    score = 1.5 * usage[:, 0] - usage[:, 3] + np.abs(usage[:, 5]) * 1.2 - 0.9
    return torch.from_numpy(usage), torch.from_numpy((score > 0).astype(np.float32))


class ChurnModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(9, 32), nn.LeakyReLU(), nn.Linear(32, 16), nn.LeakyReLU())
        self.score = nn.Linear(16, 1)

    def forward(self, usage):
        return self.score(self.encode(usage)).squeeze(-1)  # expect: single-logit-cross-entropy


def epoch_of(model, data, labels, criterion, optimizer, size=64):
    losses = []
    for index in torch.randperm(len(data)).split(size):
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(data[index]), labels[index])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.mean(losses)


torch.manual_seed(2)
rng = np.random.default_rng(2)
data, labels = customers(1280, rng)
fresh, truth = customers(400, rng)
model = ChurnModel()
criterion = nn.CrossEntropyLoss()  # expect: single-logit-cross-entropy
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for epoch in range(8):
    model.train()
    mean = epoch_of(model, data, labels, criterion, optimizer)
    model.eval()
    with torch.no_grad():
        right = ((model(fresh) > 0).float() == truth).float().mean()
    print(f"epoch {epoch}: {mean:.4f}, right {right:.3f}")
