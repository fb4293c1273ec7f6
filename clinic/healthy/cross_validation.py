"""Four-fold cross-validation of a small diabetes-progression-like regressor, one fresh model a fold."""

import numpy as np
import torch
import torch.nn as nn

SEED = 27
rng = np.random.default_rng(SEED)
torch.manual_seed(SEED)

N = 480
age = rng.uniform(20, 80, N)
bmi = rng.normal(26, 4, N)
pressure = 80 + 0.4 * age + rng.normal(0, 8, N)
sugar = 60 + 1.2 * bmi + rng.normal(0, 9, N)
progression = 50 + 1.1 * (bmi - 26) ** 2 / 4 + 0.9 * sugar + 0.5 * pressure + rng.normal(0, 5, N)
table = np.stack([age, bmi, pressure, sugar], axis=1)


def standardiser(reference):
    mean, std = reference.mean(axis=0), reference.std(axis=0)
    return lambda values: torch.tensor((values - mean) / std, dtype=torch.float32)


def fit(x, y, epochs=30, batch=24):
    model = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-4)
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x[rows]).squeeze(1), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return model, total / len(x)


folds = np.array_split(rng.permutation(N), 4)
scores = []
for k, held_out in enumerate(folds):
    used = np.concatenate([fold for j, fold in enumerate(folds) if j != k])
    scale_x, scale_y = standardiser(table[used]), standardiser(progression[used])
    model, train_mse = fit(scale_x(table[used]), scale_y(progression[used]))
    model.eval()
    with torch.no_grad():
        truth = scale_y(progression[held_out])
        guess = model(scale_x(table[held_out])).squeeze(1)
    r2 = 1 - ((guess - truth) ** 2).sum().item() / ((truth - truth.mean()) ** 2).sum().item()
    scores.append(r2)
    print(f"fold {k}: train mse {train_mse:.4f} held-out R2 {r2:.3f}")
print(f"mean R2 {np.mean(scores):.3f}")
