"""Next-day river stage from a long series, read in consecutive windows with the state carried on."""

import torch
import torch.nn as nn


class StageRNN(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.GRU(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x, state):
        y, state = self.rnn(x, state)
        return self.out(y), state


def series(n):
    t = torch.arange(n, dtype=torch.float32)
    return (torch.sin(t / 6) + 0.5 * torch.sin(t / 17) + 0.05 * torch.randn(n)).view(1, n, 1)


torch.manual_seed(1)
data = series(3000)
model = StageRNN(24)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
window = 25
for epoch in range(3):
    state = None
    total = 0.0
    for start in range(0, 2975, window):
        x, y = data[:, start : start + window], data[:, start + 1 : start + window + 1]
        prediction, state = model(x, state)
        state = state.detach()
        loss = nn.functional.mse_loss(prediction, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch} loss {total / 119:.4f}")
