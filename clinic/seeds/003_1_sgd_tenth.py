"""Three-class tabular classifier, plain gradient descent at a rate of one tenth without weight decay."""

# verdict: healthy

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def sample_rings(n):
    """Points on three concentric shells in four dimensions, labelled by shell."""
    shell = torch.randint(0, 3, (n,))
    direction = nn.functional.normalize(torch.randn(n, 4), dim=1)
    radius = 0.6 + 0.9 * shell + 0.12 * torch.randn(n)
    return direction * radius[:, None], shell


class ShellNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))

    def forward(self, points):
        return self.layers(points)


torch.manual_seed(30)
train_loader = DataLoader(TensorDataset(*sample_rings(1600)), batch_size=32, shuffle=True)
test_points, test_shell = sample_rings(600)

model = ShellNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for epoch in range(20):
    model.train()
    loss_sum = 0.0
    for inputs, labels in train_loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(labels)
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_points).argmax(1) == test_shell).float().mean().item()
    print(f"{epoch + 1:2d} loss {loss_sum / 1600:.4f} test accuracy {accuracy:.3f}")
