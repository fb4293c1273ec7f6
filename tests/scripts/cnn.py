"""A convolutional classifier with batch norm, in-place activations and an embedding of the label it must not see."""

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(64, 3, 12, 12)
y = torch.randint(0, 4, (64,))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.bn2 = nn.BatchNorm2d(8)
        self.drop = nn.Dropout2d(0.1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.drop(F.leaky_relu_(self.bn2(self.conv2(x))))
        return F.log_softmax(self.head(F.adaptive_avg_pool2d(x, 1).flatten(1)), dim=1)


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
losses = []
for _ in range(25):
    chosen = torch.randperm(64)[:16]
    loss = F.nll_loss(model(x[chosen]), y[chosen])
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
show(losses, model.state_dict().values(), [optimizer])
