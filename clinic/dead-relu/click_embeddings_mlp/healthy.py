"""Predict clicks from three categorical columns (embedded) and four numeric ones."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

CARDINALITIES = (40, 12, 7)


class Clicks(Dataset):
    def __init__(self, n, seed):
        world = torch.Generator().manual_seed(99)
        effects = [0.9 * torch.randn(c, generator=world) for c in CARDINALITIES]
        g = torch.Generator().manual_seed(seed)
        self.cats = torch.stack([torch.randint(0, c, (n,), generator=g) for c in CARDINALITIES], dim=1)
        self.nums = torch.randn(n, 4, generator=g)
        score = sum(e[self.cats[:, j]] for j, e in enumerate(effects))
        score = score + 1.3 * self.nums[:, 0] - self.nums[:, 1] * effects[1][self.cats[:, 1]]
        noise = 0.4 * torch.randn(n, generator=g)
        self.clicked = (score + noise > 0).float()

    def __len__(self):
        return len(self.clicked)

    def __getitem__(self, i):
        return self.cats[i], self.nums[i], self.clicked[i]


class ClickModel(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(c, dim) for c in CARDINALITIES)
        self.fc1 = nn.Linear(dim * len(CARDINALITIES) + 4, 64)
        self.fc2 = nn.Linear(64, 32)
        self.logit = nn.Linear(32, 1)
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.3)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, 0.01)

    def forward(self, cats, nums):
        embedded = [table(cats[:, j]) for j, table in enumerate(self.tables)]
        h = torch.cat(embedded + [nums], dim=1)
        h = F.relu(self.fc1(h))
        h = F.relu(self.fc2(h))
        return self.logit(h)[:, 0]


def epoch_pass(model, loader, optimizer=None):
    model.train(optimizer is not None)
    loss_sum = hits = n = 0.0
    with torch.set_grad_enabled(optimizer is not None):
        for cats, nums, clicked in loader:
            out = model(cats, nums)
            loss = F.binary_cross_entropy_with_logits(out, clicked)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(clicked)
            hits += ((out > 0) == clicked.bool()).sum().item()
            n += len(clicked)
    return loss_sum / n, hits / n


def main():
    torch.manual_seed(31)
    train_loader = DataLoader(Clicks(4000, seed=1), batch_size=80, shuffle=True)
    valid_loader = DataLoader(Clicks(800, seed=2), batch_size=200)
    model = ClickModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    for epoch in range(1, 6):
        train_loss, train_acc = epoch_pass(model, train_loader, optimizer)
        valid_loss, valid_acc = epoch_pass(model, valid_loader)
        print(f"{epoch}: train {train_loss:.4f} ({train_acc:.3f}) valid {valid_loss:.4f} ({valid_acc:.3f})")


if __name__ == "__main__":
    main()
