"""A small classifier of metal alloys whose biases are shifted before training."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class AlloyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(12, 40)
        self.second = nn.Linear(40, 4)

    def reset(self, shift):
        self.first.bias[:] = shift  # expect: inplace-error

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def main():
    torch.manual_seed(3)
    label = torch.randint(0, 4, (1200,))
    x = torch.randn(4, 12)[label] + 0.7 * torch.randn(1200, 12)
    loader = DataLoader(TensorDataset(x, label), batch_size=40, shuffle=True)
    model = AlloyNet()
    model.reset(0.05)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(6):
        for xb, yb in loader:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")


main()
