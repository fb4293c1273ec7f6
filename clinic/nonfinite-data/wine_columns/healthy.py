"""Three cultivars of wine from chemistry, with two extra columns from the cellar's log book."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split


class Net(torch.nn.Module):
    def __init__(self, features, hidden=32):
        super().__init__()
        self.inner = torch.nn.Linear(features, hidden)
        self.outer = torch.nn.Linear(hidden, 3)

    def forward(self, x):
        return self.outer(F.relu(self.inner(x)))


def prepare(seed):
    data, cultivar = load_wine(return_X_y=True)
    cellar = np.full((len(data), 1), 12.0)
    table = np.hstack([data, cellar]).astype(np.float32)
    a, b, ya, yb = train_test_split(table, cultivar, test_size=0.3, stratify=cultivar, random_state=seed)
    mean, std = a.mean(axis=0), a.std(axis=0)
    a, b = (a - mean) / np.maximum(std, 1e-6), (b - mean) / np.maximum(std, 1e-6)
    return [torch.from_numpy(part) for part in (a, b)] + [torch.from_numpy(part).long() for part in (ya, yb)]


def main():
    torch.manual_seed(4)
    x_train, x_test, y_train, y_test = prepare(4)
    net = Net(x_train.shape[1])
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for step in range(240):
        pick = torch.randint(len(x_train), (24,))
        loss = F.cross_entropy(net(x_train[pick]), y_train[pick])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        if step % 40 == 39:
            with torch.no_grad():
                right = (net(x_test).argmax(1) == y_test).float().mean()
            print(f"step {step + 1}: loss {loss:.3f}, test accuracy {right:.3f}")


if __name__ == "__main__":
    main()
