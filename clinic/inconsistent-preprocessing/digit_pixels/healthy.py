"""Digits as bytes: a convolution on eight by eight pixels."""

import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(9)
pixels, digits = load_digits(return_X_y=True)
images = torch.tensor(pixels).view(-1, 1, 8, 8).mul(15.9).byte()
digits = torch.tensor(digits)
order = torch.randperm(len(images))
train, test = order[:1400], order[1400:]


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3, padding=1)
        self.head = nn.Linear(10 * 16, 10)

    def forward(self, x):
        return self.head(nn.functional.max_pool2d(self.conv(x).relu(), 2).flatten(1))


def accuracy(net, rows):
    net.eval()
    with torch.no_grad():
        scores = net((images[rows].float() / 255 - 0.3) / 0.37)
    return (scores.argmax(1) == digits[rows]).float().mean().item()


net = Digits()
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(7):
    net.train()
    for rows in train[torch.randperm(len(train))].split(50):
        batch = (images[rows].float() / 255 - 0.3) / 0.37
        loss = loss_fn(net(batch), digits[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.3f} accuracy {accuracy(net, test):.3f}")
