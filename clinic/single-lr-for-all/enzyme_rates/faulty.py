import numpy as np
import torch
from torch import nn, optim

rng = np.random.default_rng(12)


class Kinetics(nn.Module):
    """Michaelis-Menten with a saturation that depends on the buffer, and one half-saturation constant."""

    def __init__(self, km):
        super().__init__()
        self.km = nn.Parameter(torch.tensor([float(km)]))
        self.fc1 = nn.Linear(5, 48)
        self.fc2 = nn.Linear(48, 1)

    def forward(self, buffer, substrate):
        top = self.fc2(torch.relu(self.fc1(buffer)))
        return top * (substrate / (self.km.abs() + substrate)).pow(2)


def assays(n):
    buffer = rng.normal(size=(n, 5))
    substrate = rng.uniform(1, 60, size=(n, 1))
    top = buffer[:, :1] + np.abs(buffer[:, 1:2]) - 0.8
    speed = top * (substrate / (8.0 + substrate)) ** 2 + 0.02 * rng.normal(size=(n, 1))
    return [torch.tensor(a, dtype=torch.float32) for a in (buffer, substrate, speed)]


class Fit:
    def __init__(self, model, lr):
        self.model = model
        self.optim = optim.AdamW(model.parameters(), lr=lr)  # expect: single-lr-for-all
        self.loss = nn.MSELoss()

    def run(self, data, epochs, batch=50):
        buffer, substrate, speed = data
        for epoch in range(epochs):
            for rows in torch.randperm(len(speed)).split(batch):
                self.optim.zero_grad()
                loss = self.loss(self.model(buffer[rows], substrate[rows]), speed[rows])
                loss.backward()
                self.optim.step()
            print(epoch, f"{loss.item():.4f}", f"{self.model.km.item():.1f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    Fit(Kinetics(km=900), lr=3e-3).run(assays(2000), epochs=10)
