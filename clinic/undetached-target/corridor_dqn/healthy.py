"""Q-learning on a random walk with a goal at one end, replayed from a buffer."""

import random
from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F

LENGTH, GAMMA = 12, 0.95


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(LENGTH, 48), nn.ReLU(), nn.Linear(48, 2))

    def forward(self, state):
        return self.net(F.one_hot(state, LENGTH).float())


def step(state, action):
    if random.random() < 0.2:
        action = 1 - action
    state = max(0, state - 1) if action == 0 else state + 1
    done = state == LENGTH - 1
    return state, float(done), done


def optimise(q, memory, optimizer, batch_size=64):
    batch = random.sample(memory, batch_size)
    state, action, reward, after, done = (torch.tensor(column) for column in zip(*batch))
    value = q(state).gather(1, action.unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        best = q(after).max(1).values
    target = reward + GAMMA * best * (1 - done.float())
    loss = F.smooth_l1_loss(value, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def main():
    random.seed(5)
    torch.manual_seed(5)
    q = QNet()
    optimizer = torch.optim.Adam(q.parameters(), lr=3e-3)
    memory, state, epsilon = deque(maxlen=3000), 0, 1.0
    for t in range(1600):
        with torch.no_grad():
            greedy = q(torch.tensor([state])).argmax(1).item()
        action = random.randrange(2) if random.random() < epsilon else greedy
        after, reward, done = step(state, action)
        memory.append((state, action, reward, after, done))
        state = random.randrange(LENGTH - 1) if done else after
        epsilon = max(0.2, epsilon * 0.998)
        if t >= 200 and t % 4 == 0:
            loss = optimise(q, memory, optimizer)
        if t % 400 == 399:
            with torch.no_grad():
                values = q(torch.arange(LENGTH - 1)).max(1).values
            print(f"{t + 1} loss {loss:.4f} values {[round(v, 2) for v in values.tolist()]}")


main()
