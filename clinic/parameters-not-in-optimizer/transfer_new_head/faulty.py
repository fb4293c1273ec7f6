"""Pre-train a digit net on the classes 0-4, then keep its body and learn a fresh head for the classes 5-9."""

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, n_out):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 256), nn.ReLU())
        self.head = nn.Linear(256, n_out)

    def forward(self, x):
        return self.head(self.body(x))


def make_loaders(x, y):
    x_tr, x_va, y_tr, y_va = train_test_split(x, y, test_size=0.25, random_state=4, stratify=y)
    train = TensorDataset(torch.as_tensor(x_tr, dtype=torch.float32), torch.as_tensor(y_tr))
    val = TensorDataset(torch.as_tensor(x_va, dtype=torch.float32), torch.as_tensor(y_va))
    return DataLoader(train, batch_size=32, shuffle=True), DataLoader(val, batch_size=64)


def fit(model, optimizer, train_loader, val_loader, epochs, tag):
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        running = 0.0
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running += loss.item()

        model.eval()
        correct = total = 0
        with torch.no_grad():
            for inputs, labels in val_loader:
                correct += (model(inputs).argmax(1) == labels).sum().item()
                total += labels.size(0)
        print(f"{tag} epoch {epoch + 1}: loss {running / len(train_loader):.3f}, accuracy {correct / total:.3f}")


torch.manual_seed(4)
X, y = load_digits(return_X_y=True)
X = (X - 4.9) / 6.0
low = y < 5

model = Net(5)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
fit(model, optimizer, *make_loaders(X[low], y[low]), epochs=6, tag="source")

# second task: body stays as it is
for p in model.body.parameters():
    p.requires_grad = False
optimizer = torch.optim.Adam(model.head.parameters(), lr=5e-3)  # expect: parameters-not-in-optimizer
model.head = nn.Linear(256, 5)  # expect: parameters-not-in-optimizer
fit(model, optimizer, *make_loaders(X[~low], y[~low] - 5), epochs=10, tag="target")
