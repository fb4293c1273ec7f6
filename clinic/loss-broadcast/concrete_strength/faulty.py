"""Compressive strength of concrete from its mix, with early reporting of the coefficient of determination."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class MixDataset(Dataset):
    """Seven standardised mix quantities and the strength after 28 days, in units of its spread."""

    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.mix = torch.randn(n, 7, generator=g)
        cement, water, age = self.mix[:, 0], self.mix[:, 1], self.mix[:, 2]
        strength = 0.7 * cement - 0.5 * water * (water > 0) + 0.45 * torch.tanh(2 * age) + 0.2 * cement * age
        self.strength = strength + 0.1 * torch.randn(n, generator=g)

    def __len__(self):
        return self.mix.size(0)

    def __getitem__(self, index):
        return self.mix[index], self.strength[index]


class StrengthNet(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.inner = nn.Linear(7, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.outer = nn.Linear(hidden, 1)

    def forward(self, mix):
        h = torch.relu(self.inner(mix))
        h = torch.relu(self.middle(h))
        return self.outer(h)


class Trainer:
    def __init__(self, model, train_loader, val_loader, lr):
        self.model = model
        self.train_loader, self.val_loader = train_loader, val_loader
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.criterion = nn.MSELoss()

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for mix, strength in self.train_loader:
            prediction = self.model(mix)
            loss = self.criterion(prediction, strength)  # expect: loss-broadcast
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(mix)
        return total / len(self.train_loader.dataset)

    @torch.no_grad()
    def r_squared(self):
        self.model.eval()
        pairs = [(self.model(mix).flatten(), strength) for mix, strength in self.val_loader]
        predicted = torch.cat([p for p, _ in pairs])
        actual = torch.cat([s for _, s in pairs])
        return 1 - ((predicted - actual) ** 2).sum().item() / ((actual - actual.mean()) ** 2).sum().item()


def main():
    torch.manual_seed(31)
    train_loader = DataLoader(MixDataset(1500, seed=1), batch_size=30, shuffle=True)
    val_loader = DataLoader(MixDataset(500, seed=2), batch_size=250)
    trainer = Trainer(StrengthNet(), train_loader, val_loader, lr=2e-3)
    for epoch in range(10):
        loss = trainer.train_epoch()
        print(f"Epoch {epoch + 1:>2} | mse {loss:.4f} | r2 {trainer.r_squared():.3f}")


main()
