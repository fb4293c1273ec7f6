"""Vibration-signal classifier trained on mixed pairs of samples, so that its training loss stays high by design."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(83)
CLASSES = 4


def vibration(n, length=40):
    kind = torch.randint(0, CLASSES, (n,))
    t = torch.linspace(0, 1, length)
    frequency = torch.tensor([3.0, 5.0, 8.0, 12.0])[kind][:, None]
    wave = torch.sin(2 * torch.pi * (frequency * t + torch.rand(n, 1))) + 0.7 * torch.randn(n, length)
    return wave.unsqueeze(1), kind


def mixed(x, y, alpha=0.3):
    share = torch.distributions.Beta(alpha, alpha).sample()
    partner = torch.randperm(len(x))
    soft = nn.functional.one_hot(y, CLASSES).float()
    return share * x + (1 - share) * x[partner], share * soft + (1 - share) * soft[partner]


net = nn.Sequential(
    nn.Conv1d(1, 16, 9, padding=4),
    nn.GELU(),
    nn.MaxPool1d(2),
    nn.Conv1d(16, 24, 7, padding=3),
    nn.GELU(),
    nn.AdaptiveMaxPool1d(1),
    nn.Flatten(),
    nn.Linear(24, CLASSES),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.01)
loader = DataLoader(TensorDataset(*vibration(1600)), batch_size=64, shuffle=True, drop_last=True)
x_test, y_test = vibration(500)
for epoch in range(8):
    net.train()
    train_loss = 0.0
    for x, y in loader:
        x, soft = mixed(x, y)
        optimizer.zero_grad()
        loss = criterion(net(x), soft)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() / len(loader)
    net.eval()
    with torch.no_grad():
        logits = net(x_test)
        test_loss = criterion(logits, y_test).item()
        accuracy = (logits.argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch + 1}: mixed train {train_loss:.4f} | plain test {test_loss:.4f} accuracy {accuracy:.3f}")
