"""Fit the yield of a chemical assay (scikit-learn's Friedman function) with three tanh layers."""

import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


class AssayNet(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc1 = nn.Linear(d, 60)
        self.fc2 = nn.Linear(60, 60)
        self.fc3 = nn.Linear(60, 60)
        self.out = nn.Linear(60, 1)
        for fc in (self.fc1, self.fc2, self.fc3):
            nn.init.xavier_normal_(fc.weight)
            nn.init.zeros_(fc.bias)

    def forward(self, x):
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        x = torch.tanh(self.fc3(x))
        return self.out(x).squeeze(-1)


def get_split():
    X, y = make_friedman1(n_samples=5000, n_features=10, noise=0.5, random_state=3)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=3)
    xs = StandardScaler().fit(X_train)
    ys = StandardScaler().fit(y_train[:, None])

    def prep(features, target):
        scaled = ys.transform(target[:, None])[:, 0]
        return torch.from_numpy(xs.transform(features)).float(), torch.from_numpy(scaled).float()

    return prep(X_train, y_train), prep(X_test, y_test)


def r_squared(model, x, y):
    model.eval()
    with torch.no_grad():
        residual = ((model(x) - y) ** 2).sum()
    return (1 - residual / ((y - y.mean()) ** 2).sum()).item()


def train(epochs=20, batch_size=100, lr=2e-3):
    torch.manual_seed(3)
    (x_train, y_train), (x_test, y_test) = get_split()
    model = AssayNet(x_train.shape[1])
    criterion = nn.MSELoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-2)
    for epoch in range(1, epochs + 1):
        model.train()
        order = torch.randperm(len(x_train))
        total = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            optimizer.zero_grad()
            loss = criterion(model(x_train[rows]), y_train[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        if epoch == 1 or epoch % 4 == 0:
            print(f"epoch {epoch}: train mse {total / len(order):.4f}, test R2 {r_squared(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    train()
