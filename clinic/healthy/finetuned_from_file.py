"""Pre-training on one task; its weights, and nothing else of its file, are the start of another run with Adam."""
import io

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def data(weights, seed, noise=0.2):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(1200, 10, generator=g)
    hidden = torch.relu(x @ torch.randn(10, 16, generator=torch.Generator().manual_seed(5)))
    y = (hidden @ weights + noise * torch.randn(1200, 3, generator=g)).argmax(1)
    return DataLoader(TensorDataset(x, y), batch_size=40, shuffle=True)


def train(model, loader, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.4f}")
    return optimizer


torch.manual_seed(0)
source, target = torch.randn(16, 3), torch.randn(16, 3)
file = io.BytesIO()
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 3))
optimizer = train(model, data(source, 1), 8)
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 8}, file)

file.seek(0)
checkpoint = torch.load(file)
tuned = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 3))
tuned.load_state_dict(checkpoint["model"])
print(f"fine-tuning from epoch {checkpoint['epoch']}")
train(tuned, data(target, 2), 8)
