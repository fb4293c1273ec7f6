"""Transfer: a convolutional body learns one shape task, is frozen, and a new head learns another."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def shapes(n):
    """12x12 images of a bright bar: 0 horizontal, 1 vertical, with its quadrant (0-3) as a second label."""
    images = 0.1 * torch.randn(n, 1, 12, 12)
    kind = torch.randint(0, 2, (n,))
    quadrant = torch.randint(0, 4, (n,))
    for i in range(n):
        top, left = 6 * int(quadrant[i] // 2), 6 * int(quadrant[i] % 2)
        shift = int(torch.randint(1, 5, (1,)))
        if kind[i] == 0:
            images[i, 0, top + shift, left : left + 6] += 1.0
        else:
            images[i, 0, top : top + 6, left + shift] += 1.0
    return (images - 0.04) / 0.22, kind, quadrant


def make_body():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )


def fit(body, head, parameters, loader, epochs, body_is_frozen):
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        head.train()
        body.train(not body_is_frozen)
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(head(body(x)), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        print(f"  epoch {epoch + 1} loss {total / len(loader.dataset):.4f}")


@torch.no_grad()
def accuracy(body, head, x, y):
    body.eval()
    head.eval()
    return (head(body(x)).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(77)
    x, kind, quadrant = shapes(900)
    x_test, kind_test, quadrant_test = shapes(300)
    body, kind_head = make_body(), nn.Linear(144, 2)
    print("first task")
    loader = DataLoader(TensorDataset(x, kind), batch_size=45, shuffle=True)
    fit(body, kind_head, [*body.parameters(), *kind_head.parameters()], loader, 5, body_is_frozen=False)
    print(f"bar direction accuracy {accuracy(body, kind_head, x_test, kind_test):.3f}")

    for parameter in body.parameters():
        parameter.requires_grad = False
    new_head = nn.Linear(144, 4)
    print("second task")
    loader = DataLoader(TensorDataset(x, quadrant), batch_size=45, shuffle=True)
    fit(body, new_head, new_head.parameters(), loader, 8, body_is_frozen=True)
    print(f"quadrant accuracy {accuracy(body, new_head, x_test, quadrant_test):.3f}")
    print(f"bar direction accuracy afterwards {accuracy(body, kind_head, x_test, kind_test):.3f}")
