"""Deep Q-learning with replay and a target network on a five-by-five grid with a pit."""

import copy
import random
from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

SIZE, GOAL, PIT = 5, (4, 4), (2, 2)
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]


def encode(cell):
    board = torch.zeros(SIZE * SIZE)
    board[cell[0] * SIZE + cell[1]] = 1.0
    return board


def act_on(cell, action):
    row = min(max(cell[0] + MOVES[action][0], 0), SIZE - 1)
    col = min(max(cell[1] + MOVES[action][1], 0), SIZE - 1)
    if (row, col) == GOAL:
        return (row, col), 1.0, True
    if (row, col) == PIT:
        return (row, col), -1.0, True
    return (row, col), -0.02, False


def start():
    while True:
        cell = (random.randrange(SIZE), random.randrange(SIZE))
        if cell not in (GOAL, PIT):
            return cell


class Agent:
    def __init__(self, gamma=0.95, lr=2e-3):
        self.online = nn.Sequential(nn.Linear(SIZE * SIZE, 64), nn.ReLU(), nn.Linear(64, len(MOVES)))
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=lr)
        self.memory = deque(maxlen=2000)
        self.gamma = gamma

    @torch.no_grad()
    def choose(self, cell, epsilon):
        if random.random() < epsilon:
            return random.randrange(len(MOVES))
        return int(self.online(encode(cell)).argmax())

    def learn(self, batch_size=48):
        states, actions, rewards, followers, ends = zip(*random.sample(self.memory, batch_size))
        q = self.online(torch.stack(states)).gather(1, torch.tensor(actions)[:, None]).squeeze(1)
        with torch.no_grad():
            best = self.target(torch.stack(followers)).max(1).values
        wanted = torch.tensor(rewards) + self.gamma * best * (1 - torch.tensor(ends))
        loss = F.smooth_l1_loss(q, wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def refresh_target(self):
        self.target.load_state_dict(self.online.state_dict())


def evaluate(agent):
    wins = 0
    for cell in [(r, c) for r in range(SIZE) for c in range(SIZE) if (r, c) not in (GOAL, PIT)]:
        for _ in range(12):
            cell, reward, over = act_on(cell, agent.choose(cell, 0.0))
            if over:
                wins += reward > 0
                break
    return wins / (SIZE * SIZE - 2)


def main():
    random.seed(9)
    torch.manual_seed(9)
    agent = Agent()
    cell, steps = start(), 0
    for t in range(2200):
        epsilon = max(0.1, 1 - t / 1200)
        action = agent.choose(cell, epsilon)
        follower, reward, over = act_on(cell, action)
        agent.memory.append((encode(cell), action, reward, encode(follower), float(over)))
        steps += 1
        cell = start() if over or steps > 30 else follower
        steps = 0 if over or steps > 30 else steps
        if len(agent.memory) >= 200 and t % 3 == 0:
            loss = agent.learn()
            if t % 60 == 0:
                agent.refresh_target()
        if t % 300 == 299:
            print(f"t {t + 1} epsilon {epsilon:.2f} td loss {loss:.4f} solved {evaluate(agent):.2f}")


if __name__ == "__main__":
    main()
