"""Robot-arm kinematics regression whose gradients are cleared at the very end of each step."""

import torch
from torch import nn


class Arm(nn.Module):
    """Maps three joint angles to the position of the hand."""

    def __init__(self):
        super().__init__()
        self.lift = nn.Linear(3, 64)
        self.middle = nn.Linear(64, 64)
        self.hand = nn.Linear(64, 2)

    def forward(self, angles):
        h = torch.tanh(self.lift(angles))
        h = torch.tanh(self.middle(h))
        return self.hand(h)


def positions(angles):
    total = angles.cumsum(1)
    return torch.stack([total.cos().sum(1), total.sin().sum(1)], 1) / 1.5


torch.manual_seed(29)
angles = 2 * torch.rand(2400, 3) - 1
hands = positions(angles)
held_out, held_out_hands = angles[2000:], hands[2000:]
arm = Arm()
optimizer = torch.optim.NAdam(arm.parameters(), lr=2e-3)
mse = nn.MSELoss()

for epoch in range(1, 16):
    epoch_loss = 0.0
    for index in torch.randperm(2000).split(50):
        loss = mse(arm(angles[index]), hands[index])
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() / 40
        optimizer.zero_grad()
    if epoch % 3 == 0:
        with torch.no_grad():
            print(f"epoch {epoch} train {epoch_loss:.5f} held out {mse(arm(held_out), held_out_hands).item():.5f}")
