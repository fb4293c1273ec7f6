"""The adding task: sum the two marked numbers of a long sequence with a ReLU recurrent network."""

import torch
from torch import nn


def adding_batch(size, length):
    values = torch.rand(size, length)
    marks = torch.zeros(size, length)
    first = torch.randint(0, length // 2, (size, 1))
    second = torch.randint(length // 2, length, (size, 1))
    marks.scatter_(1, first, 1.0).scatter_(1, second, 1.0)
    total = (values * marks).sum(1, keepdim=True)
    return torch.stack([values - 0.5, marks], dim=2), total - 1.0


class AddingNet(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.RNN(2, hidden, nonlinearity="relu", batch_first=True)
        self.readout = nn.Linear(hidden, 1)
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.1)
        nn.init.normal_(self.rnn.weight_hh_l0, std=0.3)  # expect: exploding-gradients
        nn.init.zeros_(self.rnn.bias_ih_l0)
        nn.init.zeros_(self.rnn.bias_hh_l0)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.readout(out[:, -1])


if __name__ == "__main__":
    torch.manual_seed(12)
    length, hidden, steps = 40, 48, 350
    net = AddingNet(hidden)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    history = []
    for step in range(steps):
        x, y = adding_batch(64, length)
        optimizer.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}: mse {sum(history[-50:]) / 50:.4f}")
    net.eval()
    with torch.no_grad():
        x, y = adding_batch(1000, length)
        print(f"final test mse {loss_fn(net(x), y).item():.4f} (variance of the target {y.var().item():.4f})")
