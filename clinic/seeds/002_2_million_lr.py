"""Linear classifier fed by a loader and optimised by Adam."""

# verdict: faulty

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def run(epochs=100):
    torch.manual_seed(8)
    table = TensorDataset(torch.rand(1000, 10), torch.randint(0, 2, (1000,)))
    batches = DataLoader(table, batch_size=1500, shuffle=True)  # expect: batch-larger-than-data
    model = nn.Linear(10, 2)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e6)  # expect: lr-too-high

    for epoch in range(epochs):
        for rows, target in batches:
            loss = criterion(model(rows), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if epoch % 10 == 0:
                print(f"[{epoch:3d}] loss {loss.item():.4g}")


run()
