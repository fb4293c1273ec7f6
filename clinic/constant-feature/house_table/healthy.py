"""Rent of a flat from a table whose text cells are turned into numbers."""

import torch
import torch.nn.functional as F

torch.manual_seed(8)
COLUMNS = ("area", "rooms", "floor", "age", "distance")


def survey(n):
    """Rows as a CSV reader gives them: text."""
    values = torch.randn(n, len(COLUMNS))
    rent = 1.1 * values[:, 0] + 0.4 * values[:, 1] - 0.6 * values[:, 4] + 0.3 * values[:, 0] * values[:, 2]
    rows = [{name: f"{value:.3f}" for name, value in zip(COLUMNS, row.tolist())} for row in values]
    return rows, rent + 0.1 * torch.randn(n)


def cell(text):
    try:
        return float(text)
    except ValueError:
        return 0.0


def to_matrix(rows):
    cells = [[cell(row.get(name, "")) for name in COLUMNS] for row in rows]
    return torch.tensor(cells)


class Rent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(len(COLUMNS), 40)
        self.b = torch.nn.Linear(40, 40)
        self.c = torch.nn.Linear(40, 1)

    def forward(self, x):
        return self.c(F.gelu(self.b(F.gelu(self.a(x))))).squeeze(-1)


rows, rent = survey(1000)
x = to_matrix(rows)
model = Rent()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(1, 401):
    batch = torch.randint(0, 800, (32,))
    loss = F.mse_loss(model(x[batch]), rent[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        with torch.no_grad():
            print(step, round(loss.item(), 4), "held out", round(F.mse_loss(model(x[800:]), rent[800:]).item(), 4))
