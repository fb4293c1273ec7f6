"""Two instruments with opposite offsets, one batch of each a step; tested on one of them."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.fc1 = nn.Linear(16, width)
        self.bn1 = nn.LayerNorm(width)
        self.fc2 = nn.Linear(width, width)
        self.bn2 = nn.LayerNorm(width)
        self.out = nn.Linear(width, 3)

    def forward(self, x):
        x = F.relu(self.bn1(self.fc1(x)))
        x = F.relu(self.bn2(self.fc2(x)))
        return self.out(x)


def batch(n, shifted):
    label = torch.randint(0, 3, (n,))
    data = torch.randn(n, 16)
    data[torch.arange(n), label] += 2.0
    return (data + 8 if shifted else data - 8), label


torch.manual_seed(5)
model = Net()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
test_x, test_y = batch(200, False)
for step in range(140):
    model.train()
    clean_x, clean_y = batch(32, False)
    other_x, other_y = batch(32, True)
    loss = 0.5 * F.cross_entropy(model(other_x), other_y) + 0.5 * F.cross_entropy(model(clean_x), clean_y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 20 == 19:
        model.eval()
        with torch.no_grad():
            hits = (model(test_x).argmax(1) == test_y).float().mean()
        print(step, round(loss.item(), 3), round(hits.item(), 3))
