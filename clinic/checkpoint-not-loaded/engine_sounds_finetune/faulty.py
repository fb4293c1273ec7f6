"""Pre-trains an encoder of engine sounds on many machines, then fine-tunes it on a new one."""

import io

import torch
from torch import nn


def sounds(count, kinds, seed):
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, kinds, (count,), generator=generator)
    t = torch.linspace(0, 1, 60)
    pitch = 3 + 1.4 * kind.unsqueeze(1)
    wave = torch.sin(6.28 * pitch * t + 6.28 * torch.rand(count, 1, generator=generator))
    return wave + 0.3 * torch.randn(count, 60, generator=generator), kind


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 9, padding=4)
        self.conv2 = nn.Conv1d(16, 32, 9, padding=4)

    def forward(self, wave):
        hidden = torch.relu(self.conv1(wave.unsqueeze(1)))
        return torch.relu(self.conv2(hidden)).mean(2)


class Classifier(nn.Module):
    def __init__(self, kinds):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(32, kinds)

    def forward(self, wave):
        return self.head(self.encoder(wave))


def train(model, waves, kinds, epochs, lr):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        hits = 0
        for rows in torch.randperm(len(waves)).split(40):
            scores = model(waves[rows])
            loss = nn.functional.cross_entropy(scores, kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            hits += (scores.argmax(1) == kinds[rows]).sum().item()
        print(f"  epoch {epoch} loss {loss.item():.3f} hits {hits / len(waves):.3f}")


if __name__ == "__main__":
    torch.manual_seed(6)
    general = Classifier(6)
    train(general, *sounds(1000, 6, seed=1), epochs=7, lr=5e-3)
    stored = io.BytesIO()
    torch.save(general.encoder.state_dict(), stored)
    stored.seek(0)
    special = Classifier(3)
    special.load_state_dict(torch.load(stored), strict=False)  # expect: checkpoint-not-loaded
    print("fine-tuning")
    train(special, *sounds(240, 3, seed=2), epochs=10, lr=2e-3)
