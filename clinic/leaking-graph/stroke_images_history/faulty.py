"""Recognises handwritten digits and keeps a history of the training for a plot."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Recorder:
    def __init__(self):
        self.losses = []
        self.scores = []

    def add(self, loss, score):
        self.losses.append(loss)
        self.scores.append(score)

    def summary(self, last=20):
        return float(sum(self.losses[-last:])) / last, sum(self.scores[-last:]) / last


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 16, 3)
        self.fc = torch.nn.Linear(16 * 9, 10)

    def forward(self, x):
        return self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))


def train_batch(net, optimizer, images, digits):
    logits = net(images)
    loss = F.cross_entropy(logits, digits)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss, (logits.argmax(1) == digits).float().mean().item()  # expect: leaking-graph


def main():
    torch.manual_seed(0)
    images, digits = load_digits(return_X_y=True)
    images = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    digits = torch.tensor(digits)
    net, recorder = Net(), Recorder()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(8):
        for rows in torch.randperm(len(images)).split(64):
            recorder.add(*train_batch(net, optimizer, images[rows], digits[rows]))
        print("epoch", epoch, "loss %.4f accuracy %.4f" % recorder.summary())


if __name__ == "__main__":
    main()
