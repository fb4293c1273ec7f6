"""Wine cultivars: train, then report on the held-out bottles."""

import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
x, y = load_wine(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.3, random_state=1, stratify=y)
scaler = StandardScaler()
x_train = scaler.fit_transform(x_train)
x_val = scaler.transform(x_val)

train_set = TensorDataset(torch.tensor(x_train).float(), torch.tensor(y_train))
val_set = TensorDataset(torch.tensor(x_val).float(), torch.tensor(y_val))
train_loader = DataLoader(train_set, batch_size=16, shuffle=True)
val_loader = DataLoader(val_set, batch_size=54)

model = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()


def run(loader, training):
    model.train(training)
    total, right = 0.0, 0
    with torch.set_grad_enabled(training):
        for xb, yb in loader:
            out = model(xb)
            loss = criterion(out, yb)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(xb)
            right += (out.argmax(1) == yb).sum().item()
    return total / len(loader.dataset), right / len(loader.dataset)


for epoch in range(12):
    train_loss, _ = run(train_loader, True)
    val_loss, accuracy = run(val_loader, False)
    print(f"{epoch + 1}: train {train_loss:.3f} val {val_loss:.3f} accuracy {accuracy:.3f}")
