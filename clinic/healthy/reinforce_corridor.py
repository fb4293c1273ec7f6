"""REINFORCE with a running baseline on a corridor whose exit changes side with a visible flag."""

import torch
import torch.nn as nn
from torch.distributions import Categorical


class Corridor:
    """Many walkers at once; each sees its place and a flag, and is paid for reaching the side the flag names."""

    length = 7

    def __init__(self, walkers):
        self.walkers = walkers

    def reset(self):
        self.place = torch.full((self.walkers,), self.length // 2)
        self.flag = torch.randint(0, 2, (self.walkers,))
        self.done = torch.zeros(self.walkers, dtype=torch.bool)
        return self.observe()

    def observe(self):
        place = nn.functional.one_hot(self.place, self.length)
        return torch.cat([place, (2 * self.flag - 1)[:, None]], dim=1).float()

    def step(self, action):
        self.place = torch.where(self.done, self.place, (self.place + 2 * action - 1).clamp(0, self.length - 1))
        goal = self.flag * (self.length - 1)
        wrong = (self.length - 1) - goal
        active = ~self.done
        reward = (active & (self.place == goal)).float() - (active & (self.place == wrong)).float() - 0.02 * active
        self.done = self.done | (self.place == goal) | (self.place == wrong)
        return self.observe(), reward, active


def play(env, policy, horizon=14):
    obs = env.reset()
    log_probs, rewards, alive = [], [], []
    for _ in range(horizon):
        choice = Categorical(logits=policy(obs))
        action = choice.sample()
        obs, reward, active = env.step(action)
        log_probs.append(choice.log_prob(action))
        rewards.append(reward)
        alive.append(active)
    return torch.stack(log_probs), torch.stack(rewards), torch.stack(alive).float()


def discounted(rewards, gamma=0.97):
    total = torch.zeros(rewards.shape[1])
    out = []
    for reward in rewards.flip(0):
        total = reward + gamma * total
        out.append(total)
    return torch.stack(out[::-1])


torch.manual_seed(23)
env = Corridor(walkers=32)
policy = nn.Sequential(nn.Linear(Corridor.length + 1, 32), nn.Tanh(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
baseline = 0.0

for episode in range(120):
    log_probs, rewards, alive = play(env, policy)
    returns = discounted(rewards)
    advantage = returns - baseline
    baseline = 0.9 * baseline + 0.1 * returns[0].mean().item()
    loss = -(log_probs * advantage * alive).sum() / alive.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if episode % 20 == 0 or episode == 119:
        print(f"episode {episode}: mean return {rewards.sum(0).mean().item():+.3f} loss {loss.item():+.4f}")
