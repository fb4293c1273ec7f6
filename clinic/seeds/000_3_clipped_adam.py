"""Small regression network fitted to one fixed batch, its gradient norm capped at one."""

# verdict: healthy

import torch
import torch.nn as nn


def build(n_in=10, n_hidden=100):
    return nn.Sequential(
        nn.Linear(n_in, n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, 1),
    )


def fit(model, x, t, rounds=100):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for r in range(rounds):
        loss = nn.functional.mse_loss(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)
        optimizer.step()
        if r % 5 == 0 or r == rounds - 1:
            print(f"round {r}: mse {loss.item():.5f}, gradient norm {norm.item():.3f}")


if __name__ == "__main__":
    torch.manual_seed(7)
    fit(build(), torch.randn(32, 10), torch.randn(32, 1))
