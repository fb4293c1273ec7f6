"""Values of the states of a noisy ring by temporal differences, the squared error written out."""

import torch
from torch import nn

torch.manual_seed(90)
STATES, DISCOUNT = 8, 0.9
payoff = torch.linspace(-1, 1, STATES)


class Value(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(STATES, 16)
        self.head = nn.Linear(16, 1)

    def forward(self, state):
        return self.head(torch.tanh(self.table(state))).squeeze(-1)


value = Value()
optimizer = torch.optim.SGD(value.parameters(), lr=0.1)
state = torch.randint(0, STATES, (64,))
for step in range(400):
    move = torch.where(torch.rand(64) < 0.7, 1, -2)
    after = (state + move) % STATES
    reward = payoff[state] + 0.1 * torch.randn(64)
    goal = reward + DISCOUNT * value(after)  # expect: undetached-target
    error = goal - value(state)  # expect: undetached-target
    loss = error.pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    state = after
    if step % 80 == 79:
        with torch.no_grad():
            print(step + 1, round(loss.item(), 4), value(torch.arange(STATES)).numpy().round(2))
