"""Next chord of a progression with a stack of dilated one-dimensional convolutions."""

import torch
import torch.nn as nn
import torch.nn.functional as F

CHORDS, STEPS = 10, 32


class CausalConv(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.left = 2 * dilation
        self.conv = nn.Conv1d(channels, channels, 3, dilation=dilation)

    def forward(self, x):
        return x + torch.relu(self.conv(F.pad(x, (self.left, 0))))


class ChordNet(nn.Module):
    def __init__(self, channels=32):
        super().__init__()
        self.embed = nn.Embedding(CHORDS, channels)
        self.body = nn.Sequential(CausalConv(channels, 1), CausalConv(channels, 2))
        self.head = nn.Conv1d(channels, CHORDS, 1)

    def forward(self, chords):
        return self.head(self.body(self.embed(chords).transpose(1, 2)))


def progressions(n, rule):
    chords = torch.randint(0, CHORDS, (n, STEPS + 1))
    for t in range(2, STEPS + 1):
        usual = torch.rand(n) < 0.7
        chords[usual, t] = rule[chords[usual, t - 1], chords[usual, t - 2]]
    return chords


def main(iterations=200):
    torch.manual_seed(66)
    rule = torch.randint(0, CHORDS, (CHORDS, CHORDS))
    data, held_out = progressions(900, rule), progressions(100, rule)
    net = ChordNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for i in range(iterations):
        batch = data[torch.randint(0, 900, (32,))]
        loss = F.cross_entropy(net(batch[:, :-1]), batch[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (i + 1) % 40 == 0:
            net.eval()
            with torch.no_grad():
                test = F.cross_entropy(net(held_out[:, :-1]), held_out[:, 1:]).item()
            net.train()
            print(f"{i + 1}: train {loss.item():.3f} test {test:.3f}")


if __name__ == "__main__":
    main()
