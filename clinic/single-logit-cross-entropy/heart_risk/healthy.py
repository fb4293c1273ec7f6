"""Heart disease from a patient's readings, one network, one yes-or-no answer."""

import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(31)
readings, sick = make_classification(900, 11, n_informative=7, class_sep=1.4, random_state=31)
readings = torch.tensor((readings - readings.mean(0)) / readings.std(0), dtype=torch.float32)
sick = torch.tensor(sick, dtype=torch.float32).unsqueeze(1)
train_set, test_set = torch.utils.data.random_split(TensorDataset(readings, sick), [700, 200])
train_loader = DataLoader(train_set, batch_size=35, shuffle=True)

model = nn.Sequential(nn.Linear(11, 40), nn.ReLU(), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 1))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(10):
    model.train()
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        output = model(x)
        loss = criterion(output, y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        right = sum(((model(x) > 0).float() == y).item() for x, y in DataLoader(test_set))
    print("epoch", epoch, "loss", round(total / len(train_loader), 4), "accuracy", right / len(test_set))
