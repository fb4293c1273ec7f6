"""Predict the discounted sum of a random sequence with a hand-written gated recurrent cell."""

import torch
from torch import Tensor, nn


class GatedCell(nn.Module):
    """h' = (1 - z) * h + z * candidate, with a slope on both activations."""

    def __init__(self, inputs: int, hidden: int, slope: float = 1.0):
        super().__init__()
        self.slope = slope
        self.gate = nn.Linear(inputs + hidden, hidden)
        self.candidate = nn.Linear(inputs + hidden, hidden)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        xh = torch.cat([x, h], dim=1)
        z = torch.sigmoid(self.slope * self.gate(xh))  # expect: saturated-activations
        c = torch.tanh(self.slope * self.candidate(xh))  # expect: saturated-activations
        return (1 - z) * h + z * c


class SequenceRegressor(nn.Module):
    def __init__(self, hidden: int = 32):
        super().__init__()
        self.hidden = hidden
        self.cell = GatedCell(2, hidden, slope=40.0)  # expect: saturated-activations
        self.readout = nn.Linear(hidden, 1)

    def forward(self, seq: Tensor) -> Tensor:
        h = seq.new_zeros(seq.shape[0], self.hidden)
        for t in range(seq.shape[1]):
            h = self.cell(seq[:, t], h)
        return self.readout(h)


def draw(n: int, steps: int = 12) -> tuple[Tensor, Tensor]:
    seq = torch.randn(n, steps, 2)
    weights = 0.8 ** torch.arange(steps - 1, -1, -1)
    target = ((seq[..., 0] + 0.5 * seq[..., 1]) * weights).sum(1, keepdim=True)
    return seq, target / (1.25 * (weights**2).sum()).sqrt()


def main() -> None:
    torch.manual_seed(6)
    train_x, train_y = draw(3000)
    val_x, val_y = draw(500)
    model = SequenceRegressor()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    loss_fn = nn.MSELoss()
    for epoch in range(6):
        model.train()
        losses = []
        for idx in torch.randperm(len(train_x)).split(60):
            loss = loss_fn(model(train_x[idx]), train_y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            val = loss_fn(model(val_x), val_y).item()
        print(f"epoch {epoch} train {sum(losses) / len(losses):.4f} val {val:.4f}")


main()
