"""Recognise gestures from two streams of clip features, positions and motion."""

import torch
from torch import nn


class TwoStream(nn.Module):
    def __init__(self, width=32, gestures=4):
        super().__init__()
        self.position = nn.GRU(4, width, batch_first=True)
        self.motion = nn.GRU(4, width, batch_first=True)  # expect: unused-parameters
        self.merge = nn.Linear(2 * width, gestures)

    def encode(self, stream, clip):
        _, state = stream(clip)
        return state[-1]

    def forward(self, clip, motion):
        a = self.encode(self.position, clip)
        b = self.encode(self.position, motion)
        return self.merge(torch.cat([a, b], dim=1))


def clips(n, steps=10):
    kind = torch.randint(0, 4, (n,))
    clip = torch.randn(n, steps, 4)
    motion = torch.randn(n, steps, 4)
    clip[:, :, 0] += torch.where(kind % 2 == 0, 0.8, -0.8)[:, None]
    motion[:, :, 1] += torch.where(kind < 2, 0.8, -0.8)[:, None]
    return clip, motion, kind


def main():
    torch.manual_seed(14)
    clip, motion, kind = clips(1000)
    model = TwoStream()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(6):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(kind)).split(25):
            loss = criterion(model(clip[idx], motion[idx]), kind[idx])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(idx)
        print(f"epoch {epoch} loss {total / len(kind):.4f}")


main()
