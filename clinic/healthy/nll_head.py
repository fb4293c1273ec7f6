"""Glyph classifier that returns log-probabilities and is scored by NLLLoss."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import StepLR


class GlyphNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(16 * 9, 6)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.fc(self.dropout(x.flatten(1)))
        return F.log_softmax(x, dim=1)


def glyphs(n, generator):
    templates = (torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(66)) < 0.3).float()
    label = torch.randint(0, 6, (n,), generator=generator)
    shift = torch.randint(-1, 2, (n, 2), generator=generator).tolist()
    clean = torch.stack([templates[k].roll(tuple(s), dims=(1, 2)) for k, s in zip(label.tolist(), shift)])
    noisy = clean + 0.4 * torch.randn(clean.shape, generator=generator)
    return (noisy - 0.3) / 0.6, label


def train(model, data, optimizer, epoch, batch_size=40):
    model.train()
    images, labels = data
    for i, index in enumerate(torch.randperm(len(images)).split(batch_size)):
        optimizer.zero_grad()
        output = model(images[index])
        loss = F.nll_loss(output, labels[index])
        loss.backward()
        optimizer.step()
        if i % 15 == 0:
            print(f"Train epoch {epoch} [{i * batch_size:4d}/{len(images)}]\tloss: {loss.item():.6f}")


def test(model, data):
    model.eval()
    images, labels = data
    with torch.no_grad():
        output = model(images)
        loss = F.nll_loss(output, labels).item()
        correct = output.argmax(dim=1).eq(labels).sum().item()
    print(f"Test: average loss {loss:.4f}, correct {correct}/{len(labels)}")


def main():
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(2)
    train_data, test_data = glyphs(1200, generator), glyphs(400, generator)
    model = GlyphNet()
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.8)
    for epoch in range(1, 11):
        train(model, train_data, optimizer, epoch)
        test(model, test_data)
        scheduler.step()


if __name__ == "__main__":
    main()
