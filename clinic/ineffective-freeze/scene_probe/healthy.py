"""Learn one small task on images, keep its body fixed, and train a second head on another task."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, padding=1)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        return F.relu(self.c2(x)).mean((2, 3))


def train(backbone, head, x, y, epochs, lr):
    parameters = list(backbone.parameters()) + list(head.parameters())
    optimizer = torch.optim.Adam(parameters, lr=lr)
    for epoch in range(epochs):
        for idx in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(head(backbone(x[idx])), y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"  epoch {epoch} loss {loss.item():.4f}")


torch.manual_seed(9)
pixels, digit = load_digits(return_X_y=True)
x = (torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) - 4.9) / 6.0
y = torch.tensor(digit)

backbone, digit_head, loop_head = Backbone(), nn.Linear(24, 10), nn.Linear(24, 2)
print("digits")
train(backbone, digit_head, x, y, epochs=8, lr=4e-3)

for parameter in backbone.parameters():
    parameter.requires_grad = False
print("has a loop")
train(backbone, loop_head, x, ((y == 0) | (y == 6) | (y == 8) | (y == 9)).long(), epochs=6, lr=4e-3)
with torch.no_grad():
    kept = (digit_head(backbone(x)).argmax(1) == y).float().mean()
print(f"digit accuracy afterwards {kept:.3f}")
