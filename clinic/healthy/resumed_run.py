"""Training interrupted half-way and resumed from an in-memory snapshot of model, optimizer and scheduler."""

import copy

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def landmarks(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=g)
    y = ((x[:, 0] > 0).long() + 2 * (x[:, 1] + x[:, 2] * x[:, 3] > 0).long()).clone()
    return TensorDataset(x, y)


class Session:
    def __init__(self, total_epochs):
        self.model = nn.Sequential(nn.Linear(6, 48), nn.ELU(), nn.Linear(48, 48), nn.ELU(), nn.Linear(48, 4))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-3)
        self.scheduler = torch.optim.lr_scheduler.PolynomialLR(self.optimizer, total_epochs, power=1.0)
        self.epoch = 0

    def snapshot(self):
        parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        return {"epoch": self.epoch, **{name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}}

    def restore(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.epoch = state["epoch"]

    def run(self, loader, test_loader, until):
        while self.epoch < until:
            self.model.train()
            total = 0.0
            for x, y in loader:
                loss = nn.functional.cross_entropy(self.model(x), y)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(y)
            self.scheduler.step()
            self.epoch += 1
            print(f"epoch {self.epoch}: loss {total / len(loader.dataset):.4f} test {self.test(test_loader):.3f}")

    @torch.no_grad()
    def test(self, loader):
        self.model.eval()
        return sum((self.model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(49)
    train_loader = DataLoader(landmarks(1800, 1), batch_size=45, shuffle=True)
    test_loader = DataLoader(landmarks(450, 2), batch_size=150)
    first = Session(total_epochs=14)
    first.run(train_loader, test_loader, until=7)
    saved = first.snapshot()
    second = Session(total_epochs=14)
    second.restore(saved)
    second.run(train_loader, test_loader, until=14)
