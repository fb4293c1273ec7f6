"""A student follows a teacher that it keeps in a list so that it is not part of its parameters."""

import copy

import torch
from torch import nn
import torch.nn.functional as F


class Student(nn.Module):
    def __init__(self, teacher):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 48), nn.GELU(), nn.Linear(48, 3))
        self.teacher = [copy.deepcopy(teacher).eval()]
        self.history = []

    def forward(self, x):
        return self.net(x)

    def guide(self, x):
        with torch.no_grad():
            return self.teacher[0](x).softmax(1)


torch.manual_seed(1)
label = torch.randint(0, 3, (1500,))
x = torch.randn(3, 12)[label] + torch.randn(1500, 12)
teacher = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 3))
optimizer = torch.optim.Adam(teacher.parameters(), lr=3e-3)
for step in range(200):
    rows = torch.randint(0, 1500, (50,))
    loss = F.cross_entropy(teacher(x[rows]), label[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
student = Student(teacher)
optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
for step in range(300):
    rows = torch.randint(0, 1500, (50,))
    logits = student(x[rows])
    loss = 0.5 * F.cross_entropy(logits, label[rows]) + 0.5 * F.cross_entropy(logits, student.guide(x[rows]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    student.history.append(loss.item())
print(student.history[0], sum(student.history[-20:]) / 20)
