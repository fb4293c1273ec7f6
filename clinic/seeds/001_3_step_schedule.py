"""Two-feature softmax trained by Adam while a step schedule lowers its rate."""

# verdict: at-the-floor

import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR


def make_table(n=100):
    table = torch.randn(n, 2) * torch.tensor([1.0, 1000.0])
    table = (table - table.mean(0)) / table.std(0)
    answers = torch.randint(0, 2, (n,))  # expect: uninformative-labels
    return table, answers


torch.manual_seed(19)
table, answers = make_table()
model = nn.Linear(2, 2)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
schedule = StepLR(optimizer, step_size=30, gamma=0.1)

for epoch in range(100):
    optimizer.zero_grad()
    loss = criterion(model(table), answers)
    loss.backward()
    optimizer.step()
    schedule.step()
    if epoch % 20 == 0 or epoch == 99:
        print(f"epoch {epoch:2d} | loss {loss.item():.4f} | lr {schedule.get_last_lr()[0]:.1e}")
