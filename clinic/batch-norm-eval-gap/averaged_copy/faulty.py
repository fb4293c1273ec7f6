import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(12)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(24)
        self.fc = nn.Linear(24 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.b2(self.c2(x))), 2)
        return self.fc(x.flatten(1))


class WeightAverage:
    """Exponential moving average of the weights; the average is what we ship."""

    def __init__(self, model, decay=0.98):
        self.decay = decay
        self.model = copy.deepcopy(model).eval()
        for p in self.model.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for avg, p in zip(self.model.parameters(), model.parameters()):  # expect: batch-norm-eval-gap
            avg.mul_(self.decay).add_(p, alpha=1 - self.decay)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        out = net(x)
    return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(15)
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 4.0
    y = torch.tensor(d.target)
    tr, te = train_test_split(torch.arange(len(x)), test_size=0.25, random_state=15, stratify=y)
    x = x + 1.0
    net = ConvNet()
    ema = WeightAverage(net)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    for epoch in range(6):
        net.train()
        total = 0.0
        for idx in tr[torch.randperm(len(tr))].split(32):
            loss = F.cross_entropy(net(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            ema.update(net)
            total += loss.item() * len(idx)
        loss, acc = accuracy(ema.model, x[te], y[te])
        print(f"epoch {epoch + 1} train {total / len(tr):.4f}  averaged model: test {loss:.4f} acc {acc:.4f}")


if __name__ == "__main__":
    main()
