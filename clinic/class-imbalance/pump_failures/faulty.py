"""Which pump fails within the week? Few do."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(13)
N = 4000
readings = torch.randn(N, 10)
risk = readings[:, 0] + 0.8 * readings[:, 1] - 0.6 * readings[:, 2] + 1.3 * torch.randn(N)
failed = (risk > torch.quantile(risk, 0.96)).float()
train = TensorDataset(readings[:3000], failed[:3000])
loader = DataLoader(train, batch_size=100, shuffle=True)

model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 1))
criterion = nn.BCEWithLogitsLoss()  # expect: class-imbalance
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(40):
    model.train()
    for x, y in loader:
        loss = criterion(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        guess = model(readings[3000:]).squeeze(1) > 0
        truth = failed[3000:] > 0.5
        recall = (guess & truth).sum() / truth.sum()
    print(f"epoch {epoch}: loss {loss.item():.4f}, accuracy {(guess == truth).float().mean():.3f}, recall {recall:.3f}")
