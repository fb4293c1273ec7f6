"""Name the crop growing on a field (nine species) from its spectral indices."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

N_SPECIES = 9


def spectral_table(n, seed):
    centres = np.random.default_rng(77).normal(size=(N_SPECIES, 8)) * 1.3
    rng = np.random.default_rng(seed)
    species = rng.integers(0, N_SPECIES, n)
    indices = centres[species] + rng.normal(0, 0.7, (n, 8))
    return indices.astype(np.float32), species


def make_loaders(batch_size):
    x_train, y_train = spectral_table(2000, seed=1)
    x_test, y_test = spectral_table(500, seed=2)
    mu, sigma = x_train.mean(0), x_train.std(0)
    train = TensorDataset(torch.from_numpy((x_train - mu) / sigma), torch.from_numpy(y_train))
    test = TensorDataset(torch.from_numpy((x_test - mu) / sigma), torch.from_numpy(y_test))
    return DataLoader(train, batch_size, shuffle=True), DataLoader(test, 250)


def main():
    torch.manual_seed(40)
    train_loader, test_loader = make_loaders(batch_size=50)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))  # expect: wrong-loss-for-task
    objective = nn.MSELoss()  # expect: wrong-loss-for-task
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)

    step = 0
    for epoch in range(8):
        net.train()
        for fields, species in train_loader:
            loss = objective(net(fields).squeeze(1), species.float())  # expect: wrong-loss-for-task
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % 40 == 0:
                print(f"step {step}: loss {loss.item():.4f}")

        net.eval()
        right = 0
        with torch.no_grad():
            for fields, species in test_loader:
                guess = net(fields).squeeze(1).round().long()
                right += (guess == species).sum().item()
        print(f"epoch {epoch} done, test accuracy {right / len(test_loader.dataset):.3f}")


if __name__ == "__main__":
    main()
