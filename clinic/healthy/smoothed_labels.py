"""Six-class sensor classifier trained with label smoothing."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

K = 6


class SensorNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm_in = nn.BatchNorm1d(4)
        self.conv = nn.Conv1d(4, 16, 5, padding=2)
        self.pool = nn.AvgPool1d(4)
        self.fc = nn.Linear(16 * 8, K)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv(self.norm_in(x))))
        return self.fc(x.flatten(1))


def recordings(n, patterns):
    label = torch.randint(0, K, (n,))
    gain = 0.8 + 0.4 * torch.rand(n, 1, 1)
    return gain * patterns[label] + 0.8 * torch.randn(n, 4, 32), label


def main():
    torch.manual_seed(43)
    patterns = torch.randn(K, 4, 32).cumsum(2) / 4
    patterns = patterns - patterns.mean(2, keepdim=True)
    train = DataLoader(TensorDataset(*recordings(1500, patterns)), batch_size=50, shuffle=True)
    x_val, y_val = recordings(400, patterns)
    net = SensorNet()
    criterion = nn.CrossEntropyLoss(label_smoothing=0.15)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
    for epoch in range(8):
        net.train()
        loss_sum, hits = 0.0, 0
        for x, y in train:
            out = net(x)
            loss = criterion(out, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
        net.eval()
        with torch.no_grad():
            out = net(x_val)
            val_loss, val_acc = criterion(out, y_val).item(), (out.argmax(1) == y_val).float().mean().item()
        print(f"{epoch} loss {loss_sum / 1500:.4f} acc {hits / 1500:.3f} | val loss {val_loss:.4f} acc {val_acc:.3f}")


if __name__ == "__main__":
    main()
