"""Default prediction on a table of loan applications with a small network."""

import torch
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)
features, defaulted = make_classification(1500, 14, n_informative=8, n_redundant=2, class_sep=1.3, random_state=21)
train_x, test_x, train_y, test_y = train_test_split(features, defaulted, test_size=0.25, random_state=3)
scaler = StandardScaler().fit(train_x)


def tensors(x, y):
    return TensorDataset(torch.tensor(scaler.transform(x), dtype=torch.float32), torch.tensor(y).float())


class DefaultNet(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(14, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.score = nn.Linear(width, 1)

    def forward(self, x):
        return self.score(self.body(x)).squeeze(1)


def run(epochs=12):
    loader = DataLoader(tensors(train_x, train_y), batch_size=64, shuffle=True)
    held_out = tensors(test_x, test_y)
    net = DefaultNet()
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1.5e-3)
    for epoch in range(epochs):
        net.train()
        running = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item() * len(x)
        net.eval()
        with torch.no_grad():
            x, y = held_out.tensors
            hits = ((net(x) > 0) == (y > 0.5)).float().mean().item()
        print(f"epoch {epoch + 1:2d}  loss {running / len(train_x):.4f}  held-out accuracy {hits:.3f}")


run()
