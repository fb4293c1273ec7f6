"""Which of four engines is running, from short sound clips annotated in a separate table."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SAMPLES = 128


class Recorder:
    """Stands for the folder of clips and for the annotators' table, both keyed by clip name."""

    def __init__(self, count, seed):
        g = torch.Generator().manual_seed(seed)
        engines = torch.randint(0, 4, (count,), generator=g)
        time = torch.arange(SAMPLES) / SAMPLES
        self.clips, self.annotation = {}, {}
        for number in range(count):
            engine = int(engines[number])
            pitch = (5.0, 8.0, 12.0, 17.0)[engine] * (1 + 0.04 * torch.randn(1, generator=g))
            phase = 6.2832 * torch.rand(2, 1, generator=g)
            tone = torch.sin(6.2832 * pitch * time + phase[0]) + 0.5 * torch.sin(12.566 * pitch * time + phase[1])
            name = f"clip{number}"
            self.clips[name] = tone + 0.4 * torch.randn(SAMPLES, generator=g)
            self.annotation[name] = engine

    def dataset(self):
        sound = torch.stack(list(self.clips.values())).unsqueeze(1)
        engines = [self.annotation[name] for name in self.clips]
        return TensorDataset(sound, torch.tensor(engines))


class ClipNet(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(1, channels, 15, stride=2, padding=7),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 9, stride=2, padding=4),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(channels, 4),
        )

    def forward(self, sound):
        return self.net(sound)


def accuracy(model, loader):
    model.eval()
    good = total = 0
    with torch.no_grad():
        for sound, engine in loader:
            good += (model(sound).argmax(dim=1) == engine).sum().item()
            total += len(engine)
    return good / total


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-e", "--epochs", type=int, default=6)
    parser.add_argument("-b", "--batch", type=int, default=32)
    parser.add_argument("-c", "--channels", type=int, default=16)
    args = parser.parse_args()

    torch.manual_seed(0)
    train_loader = DataLoader(Recorder(1500, seed=1).dataset(), args.batch, shuffle=True)
    test_loader = DataLoader(Recorder(400, seed=2).dataset(), 200)
    model = ClipNet(args.channels)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for sound, engine in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(sound), engine)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(engine)
        mean = total / len(train_loader.dataset)
        print(f"epoch {epoch + 1}: loss {mean:.4f}, test accuracy {accuracy(model, test_loader):.3f}")
