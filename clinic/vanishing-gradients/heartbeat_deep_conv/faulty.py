"""Classify single heartbeats (normal, early, wide, flat) with a deep stack of 1-d convolutions."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def heartbeats(n, generator):
    t = torch.linspace(0, 1, 32)
    kind = torch.randint(0, 4, (n,), generator=generator)
    centre = torch.tensor([0.5, 0.3, 0.5, 0.5])[kind] + 0.04 * torch.randn(n, generator=generator)
    width = torch.tensor([0.04, 0.04, 0.11, 0.05])[kind]
    height = torch.tensor([2.5, 2.5, 2.2, 0.6])[kind] * (1 + 0.15 * torch.randn(n, generator=generator))
    spike = height[:, None] * torch.exp(-(((t - centre[:, None]) / width[:, None]) ** 2))
    wave = 0.5 * torch.exp(-(((t - centre[:, None] - 0.28) / 0.08) ** 2))
    trace = spike + wave + 0.15 * torch.randn(n, 32, generator=generator)
    return trace.unsqueeze(1), kind


class BeatNet(nn.Module):
    def __init__(self, channels=8, depth=16):
        super().__init__()
        self.stem = nn.Conv1d(1, channels, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv1d(channels, channels, 3, padding=1) for _ in range(depth))
        self.classify = nn.Linear(channels * 8, 4)

    def forward(self, trace):
        x = torch.tanh(self.stem(trace))
        for conv in self.convs:
            x = torch.tanh(conv(x))  # expect: vanishing-gradients
        return self.classify(F.avg_pool1d(x, 4).flatten(1))


def accuracy(model, trace, kind):
    model.eval()
    with torch.inference_mode():
        return (model(trace).argmax(1) == kind).float().mean().item()


def main():
    torch.manual_seed(1)
    g = torch.Generator().manual_seed(1)
    trace, kind = heartbeats(1200, g)
    new_trace, new_kind = heartbeats(300, g)
    mean, std = trace.mean(), trace.std()
    trace, new_trace = (trace - mean) / std, (new_trace - mean) / std

    model = BeatNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for epoch in range(6):
        model.train()
        running, seen = 0.0, 0
        for idx in torch.randperm(len(kind)).split(30):
            loss = F.cross_entropy(model(trace[idx]), kind[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item() * len(idx)
            seen += len(idx)
        print(f"epoch {epoch + 1}: loss {running / seen:.4f}, new beats {accuracy(model, new_trace, new_kind):.3f}")


if __name__ == "__main__":
    main()
