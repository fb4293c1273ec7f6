"""Five-fold cross-validation of lake temperatures; every fold starts from the same initial weights."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.model_selection import KFold

torch.manual_seed(15)
depth_season = torch.rand(600, 2) * 2 - 1
temperature = torch.cos(3 * depth_season[:, 1]) * torch.exp(-depth_season[:, 0]) + 0.1 * torch.randn(600)
temperature = ((temperature - temperature.mean()) / temperature.std()).unsqueeze(1)
net = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
initial = {k: v.clone() for k, v in net.state_dict().items()}
errors = []
for fold, (train, test) in enumerate(KFold(5, shuffle=True, random_state=0).split(depth_season)):
    net.load_state_dict(initial)
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    for epoch in range(8):
        for rows in np.array_split(np.random.default_rng(epoch).permutation(train), 16):
            loss = F.mse_loss(net(depth_season[rows]), temperature[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        errors.append(F.mse_loss(net(depth_season[test]), temperature[test]).item())
    print(f"fold {fold}: error {errors[-1]:.4f}")
print("mean", sum(errors) / len(errors))
