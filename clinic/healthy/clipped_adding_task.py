"""The adding task for an LSTM, with gradient clipping that only the steep steps meet."""

import torch
import torch.nn as nn


class Adder(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden)
        self.answer = nn.Linear(hidden, 1)

    def forward(self, sequence):
        _, (last, _) = self.lstm(sequence)
        return self.answer(last[-1])


def adding(n, steps=12):
    """Time-major sequences of numbers in [-1, 1]; two are marked and their sum is wanted."""
    value = 2 * torch.rand(steps, n) - 1
    marks = torch.rand(n, steps).topk(2, dim=1).indices
    marked = torch.zeros(n, steps).scatter_(1, marks, 1.0).T
    return torch.stack([value, marked], 2), (value * marked).sum(0)[:, None]


def main():
    torch.manual_seed(54)
    model = Adder()
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    test_sequence, test_sum = adding(500)
    capped = 0
    for step in range(1, 451):
        model.train()
        sequence, wanted = adding(64)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(sequence), wanted)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.5)
        capped += int(norm > 1.5)
        optimizer.step()
        if step % 50 == 0:
            model.eval()
            with torch.no_grad():
                test = nn.functional.mse_loss(model(test_sequence), test_sum).item()
            print(f"step {step}: batch mse {loss.item():.4f} test mse {test:.4f} capped so far {capped}")


if __name__ == "__main__":
    main()
