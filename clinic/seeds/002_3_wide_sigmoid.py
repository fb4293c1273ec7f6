"""One wide sigmoid layer trained by plain gradient descent on ten uniform columns."""

# verdict: at-the-floor

import torch
import torch.nn as nn


class WideNet(nn.Module):
    def __init__(self, n_features, width=1024):
        super().__init__()
        self.hidden = nn.Linear(n_features, width)
        self.readout = nn.Linear(width, 2)

    def forward(self, x):
        return self.readout(torch.sigmoid(self.hidden(x)))


torch.manual_seed(42)
columns = torch.rand(1000, 10)
outcome = torch.randint(0, 2, (1000,))  # expect: uninformative-labels

model = WideNet(10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()

for epoch in range(100):
    epoch_loss = 0.0
    for index in torch.randperm(1000).split(32):
        x, y = columns[index], outcome[index]
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(y)
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1:3d}: {epoch_loss / len(columns):.4f}")
