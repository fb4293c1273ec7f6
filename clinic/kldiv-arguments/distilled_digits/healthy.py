"""A small student learns digits from the softened answers of a larger teacher."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

T = 3.0


def network(width):
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


def train_teacher(teacher, loader, epochs=5):
    optimizer = torch.optim.Adam(teacher.parameters(), lr=3e-3)
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(teacher(images), labels).backward()
            optimizer.step()


def distil(student, teacher, loader, epochs=8):
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9)
    teacher.eval()
    for epoch in range(epochs):
        student.train()
        for images, _ in loader:
            with torch.no_grad():
                soft = F.softmax(teacher(images) / T, dim=1)
            answer = F.log_softmax(student(images) / T, dim=1)
            loss = F.kl_div(answer, soft, reduction="batchmean") * T * T
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"student epoch {epoch} divergence {loss.item():.4f}")


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


torch.manual_seed(4)
digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 8.0 - 0.6
labels = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=64, shuffle=True)
teacher, student = network(128), network(24)
train_teacher(teacher, loader)
print("teacher", accuracy(teacher, images[1400:], labels[1400:]))
distil(student, teacher, loader)
print("student", accuracy(student, images[1400:], labels[1400:]))
