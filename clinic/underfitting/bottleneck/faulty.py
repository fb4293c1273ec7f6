"""Ten glyph classes through a hidden layer that is one unit wide."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Recogniser(nn.Module):
    def __init__(self, pixels=36, hidden=1, classes=12):  # expect: underfitting
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(pixels, 64),
            nn.ReLU(),
            nn.Linear(64, hidden),  # expect: underfitting
            nn.Tanh(),
        )
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.body(x))


torch.manual_seed(1)
glyphs = (torch.rand(12, 36) > 0.5).float()
y = torch.randint(0, 12, (600,))
x = glyphs[y] + 0.3 * torch.randn(600, 36)
loader = DataLoader(TensorDataset(x, y), batch_size=48, shuffle=True)
model = Recogniser()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
