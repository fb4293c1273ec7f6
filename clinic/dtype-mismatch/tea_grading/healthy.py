"""Grade tea lots into three qualities from chemical measurements kept in a NumPy table."""

import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(5)
torch.manual_seed(5)

lots = 1500
measurements = np.column_stack(
    [
        rng.normal(14.0, 2.2, lots),  # polyphenols, %
        rng.normal(3.1, 0.5, lots),  # caffeine, %
        rng.normal(6.4, 0.6, lots),  # moisture, %
        rng.normal(41.0, 5.0, lots),  # extract, %
        rng.normal(5.5, 0.4, lots),  # ash, %
    ]
)
polyphenols, caffeine, moisture, extract, _ = measurements.T
merit = 0.5 * (polyphenols - 14) + 0.16 * (extract - 41) - 3.3 * (moisture - 6.4) * (caffeine - 3.1)
quality = np.digitize(merit + rng.normal(0, 0.15, lots), [-0.7, 0.7])

fit, check = np.arange(0, 1200), np.arange(1200, lots)
centre, spread = measurements[fit].mean(axis=0), measurements[fit].std(axis=0)
table = torch.from_numpy((measurements - centre) / spread).float()
quality = torch.from_numpy(quality)

model = nn.Sequential(nn.Linear(5, 32), nn.ELU(), nn.Linear(32, 32), nn.ELU(), nn.Linear(32, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(15):
    rng.shuffle(fit)
    losses = []
    model.train()
    for start in range(0, len(fit), 40):
        rows = fit[start : start + 40]
        loss = loss_fn(model(table[rows]), quality[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 3 == 2:
        model.eval()
        with torch.no_grad():
            share = (model(table[check]).argmax(1) == quality[check]).float().mean()
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, graded right {share:.1%}")
