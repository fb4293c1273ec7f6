"""Wine-like classification with gradients accumulated over windows of four small batches."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(64)
WINDOW = 4


def grown(n):
    """Three overlapping cultivars described by eleven standardised readings."""
    means = torch.randn(3, 11, generator=torch.Generator().manual_seed(1))
    kind = torch.randint(0, 3, (n,))
    return means[kind] + 1.0 * torch.randn(n, 11), kind


train_set = TensorDataset(*grown(1240))
loader = DataLoader(train_set, batch_size=20, shuffle=True)
x_valid, y_valid = grown(400)
net = nn.Sequential(nn.Linear(11, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-3)
n_batches = len(loader)

for epoch in range(10):
    net.train()
    loss_sum = 0.0
    optimizer.zero_grad()
    for i, (x, y) in enumerate(loader):
        window_start = (i // WINDOW) * WINDOW
        window_size = min(WINDOW, n_batches - window_start)
        loss = criterion(net(x), y)
        (loss / window_size).backward()
        loss_sum += loss.item()
        if (i + 1) % WINDOW == 0 or i + 1 == n_batches:
            optimizer.step()
            optimizer.zero_grad()
    net.eval()
    with torch.no_grad():
        logits = net(x_valid)
        print(
            f"epoch {epoch + 1:2d} train {loss_sum / n_batches:.4f} valid {criterion(logits, y_valid).item():.4f} "
            f"accuracy {(logits.argmax(1) == y_valid).float().mean().item():.3f}"
        )
