"""Filter unwanted messages: word counts in, probability out, likelihood written by hand."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def word_counts(n, seed, words=40):
    rng = np.random.default_rng(seed)
    unwanted = rng.integers(0, 2, n)
    rate = np.full((n, words), 0.8)
    rate[:, :10] += 2.4 * unwanted[:, None]
    rate[:, 10:20] += 2.0 * (1 - unwanted[:, None])
    counts = rng.poisson(rate * rng.uniform(0.7, 1.8, (n, 1)))
    return np.log1p(counts).astype(np.float32), unwanted.astype(np.float32)


def log_likelihood(score, target):
    p = torch.sigmoid(score)
    return target * torch.log(p) + (1 - target) * torch.log(1 - p)  # expect: nonfinite-loss


class Filter(nn.Module):
    def __init__(self, words, hidden):
        super().__init__()
        self.hidden = nn.Linear(words, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, counts):
        return self.score(F.relu(self.hidden(counts))).squeeze(1)


def main():
    torch.manual_seed(4)
    x_train, y_train = word_counts(2400, seed=8)
    x_test, y_test = word_counts(400, seed=9)
    centre, scale = x_train.mean(0), x_train.std(0)
    train_set = TensorDataset(torch.from_numpy((x_train - centre) / scale), torch.from_numpy(y_train))
    x_test, y_test = torch.from_numpy((x_test - centre) / scale), torch.from_numpy(y_test)
    loader = DataLoader(train_set, batch_size=32, shuffle=True)
    model = Filter(40, 64)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-5)

    for epoch in range(10):
        model.train()
        total = 0.0
        for counts, target in loader:
            loss = -log_likelihood(model(counts), target).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(target)
        model.eval()
        with torch.no_grad():
            score = model(x_test)
            test_nll = -log_likelihood(score, y_test).mean().item()
            accuracy = ((score > 0).float() == y_test).float().mean().item()
        print(f"epoch {epoch + 1:2d}  nll {total / len(train_set):.5f}  test {test_nll:.5f}  accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
