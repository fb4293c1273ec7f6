"""Contextual bandit that pays a cost an arm: expected cost is lowered by the score-function gradient."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Policy(nn.Module):
    def __init__(self, arms=4, context=5):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(context, 32), nn.ReLU(), nn.Linear(32, arms))

    def forward(self, context):
        return self.net(context)


def costs_of(context, prices):
    return torch.sigmoid(2 * context @ prices)


torch.manual_seed(23)
prices = torch.randn(5, 4)
policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
average = None
for step in range(300):
    context = torch.randn(64, 5)
    logits = policy(context)
    with torch.no_grad():
        arm = torch.multinomial(logits.softmax(1), 1)
        cost = costs_of(context, prices).gather(1, arm).squeeze(1)
    log_prob = F.log_softmax(logits, dim=1).gather(1, arm).squeeze(1)
    loss = (log_prob * cost).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    average = cost.mean().item() if average is None else 0.95 * average + 0.05 * cost.mean().item()
    if step % 60 == 59:
        print(f"step {step + 1} average cost {average:.3f}")
