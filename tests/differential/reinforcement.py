"""A policy gradient by torch.distributions: no loss function of torch, graphs kept over an episode."""

import torch
from digest import show
from torch.distributions import Categorical, Normal

torch.manual_seed(0)
policy = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
spread = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.Adam([*policy.parameters(), spread], 0.01)
losses = []
for _ in range(8):
    chances, rewards = [], []
    for _ in range(5):
        output = policy(torch.randn(3))
        action, move = Categorical(logits=output), Normal(output[0], spread.exp())
        choice = action.sample()
        chances.append(action.log_prob(choice) + move.log_prob(move.rsample().detach()).sum())
        rewards.append(choice.item())
    loss = -sum(chance * sum(rewards[i:]) for i, chance in enumerate(chances))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, [*policy.parameters(), spread], [optimizer])
