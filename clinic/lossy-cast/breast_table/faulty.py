"""Benign or malignant, from thirty measurements of a cell."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def tensors(batch_size=32):
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=3, stratify=y)
    scaler = MinMaxScaler().fit(x_train)
    x_train = torch.tensor(scaler.transform(x_train), dtype=torch.long)  # expect: lossy-cast
    x_test = torch.tensor(scaler.transform(x_test), dtype=torch.long)  # expect: lossy-cast
    y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)
    train = DataLoader(TensorDataset(x_train.float(), y_train), batch_size=batch_size, shuffle=True)
    test = DataLoader(TensorDataset(x_test.float(), y_test), batch_size=100)
    return train, test


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.criterion = nn.CrossEntropyLoss()

    def epoch(self, loader):
        self.model.train()
        for x, y in loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self, loader):
        self.model.eval()
        return sum((self.model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


torch.manual_seed(6)
train, test = tensors()
trainer = Trainer()
for epoch in range(20):
    last = trainer.epoch(train)
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1}: loss {last:.3f} accuracy {trainer.accuracy(test):.3f}")
