"""Advantage actor-critic that balances many hand-written poles at once."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Poles:
    """Inverted pendulums near upright; three torques, an episode ends when a pole leans too far."""

    def __init__(self, n, limit=60):
        self.n, self.limit = n, limit
        self.state = self.fresh(n)
        self.age = torch.zeros(n)

    def fresh(self, n):
        return 0.1 * torch.randn(n, 2)

    def observe(self):
        return self.state * torch.tensor([4.0, 1.0])

    def step(self, action):
        angle, speed = self.state.unbind(1)
        speed = speed + 0.1 * (4.0 * torch.sin(angle) + 2.5 * (action - 1).float()) + 0.03 * torch.randn(self.n)
        angle = angle + 0.1 * speed
        self.state = torch.stack([angle, speed], 1)
        self.age = self.age + 1
        fallen = angle.abs() > 0.5
        ended = fallen | (self.age >= self.limit)
        ages = self.age[ended]
        self.state = torch.where(ended[:, None], self.fresh(self.n), self.state)
        self.age = torch.where(ended, torch.zeros(self.n), self.age)
        return torch.where(fallen, 0.0, 0.1), fallen.float(), ages


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.actor = nn.Linear(48, 3)
        self.critic = nn.Linear(48, 1)

    def forward(self, obs):
        h = self.shared(obs)
        return self.actor(h), self.critic(h).squeeze(-1)


def update(env, model, optimizer, n_steps=8, gamma=0.95):
    log_probs, values, rewards, ends, entropies, ages = [], [], [], [], [], []
    for _ in range(n_steps):
        logits, value = model(env.observe())
        choice = torch.distributions.Categorical(logits=logits)
        action = choice.sample()
        reward, fallen, finished = env.step(action)
        log_probs.append(choice.log_prob(action))
        entropies.append(choice.entropy())
        values.append(value)
        rewards.append(reward)
        ends.append(fallen)
        ages.append(finished)
    with torch.no_grad():
        running = model(env.observe())[1]
    returns = []
    for reward, end in zip(reversed(rewards), reversed(ends)):
        running = reward + gamma * running * (1 - end)
        returns.insert(0, running)
    returns, values = torch.stack(returns), torch.stack(values)
    advantage = (returns - values).detach()
    policy_loss = -(torch.stack(log_probs) * advantage).mean()
    value_loss = F.mse_loss(values, returns)
    loss = policy_loss + 0.5 * value_loss - 0.003 * torch.stack(entropies).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item(), torch.cat(ages)


if __name__ == "__main__":
    torch.manual_seed(17)
    env = Poles(64)
    model = ActorCritic()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    recent = []
    for it in range(1, 121):
        loss, ages = update(env, model, optimizer)
        recent.append(ages)
        if it % 15 == 0:
            print(f"update {it}: loss {loss:+.4f} mean episode length {torch.cat(recent).mean().item():.1f}")
            recent = []
