"""A wide teacher is trained first; a narrow student then matches its softened predictions and the labels."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(84)
TEMPERATURE, WEIGHT = 3.0, 0.7


def rock_samples(n):
    x = torch.randn(n, 12)
    score = torch.stack([x[:, 0] * x[:, 1], x[:, 2] + x[:, 3], x[:, 4].abs() - 0.8 + x[:, 5], x[:, 6] * 1.2], 1)
    return x, score.argmax(1)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


train_loader = DataLoader(TensorDataset(*rock_samples(3000)), batch_size=60, shuffle=True)
x_test, y_test = rock_samples(800)

teacher = nn.Sequential(
    nn.Linear(12, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 4)
)
optimizer = torch.optim.AdamW(teacher.parameters(), lr=2e-3, weight_decay=0.02)
for epoch in range(6):
    teacher.train()
    loss_sum = 0.0
    for x, y in train_loader:
        loss = F.cross_entropy(teacher(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() / len(train_loader)
    print(f"teacher {epoch}: loss {loss_sum:.4f} test accuracy {accuracy(teacher, x_test, y_test):.3f}")

teacher.eval()
student = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 4))
optimizer = torch.optim.Adam(student.parameters(), lr=6e-3)
soft_loss = nn.KLDivLoss(reduction="batchmean")
for epoch in range(8):
    student.train()
    loss_sum = 0.0
    for x, y in train_loader:
        with torch.no_grad():
            wanted = F.softmax(teacher(x) / TEMPERATURE, dim=1)
        logits = student(x)
        soft = soft_loss(F.log_softmax(logits / TEMPERATURE, dim=1), wanted) * TEMPERATURE**2
        loss = WEIGHT * soft + (1 - WEIGHT) * F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() / len(train_loader)
    print(f"student {epoch}: loss {loss_sum:.4f} test accuracy {accuracy(student, x_test, y_test):.3f}")
