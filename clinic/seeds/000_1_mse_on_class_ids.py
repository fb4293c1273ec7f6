"""Two-class linear classifier scored with a squared error against the class ids."""

# verdict: crashed

import torch
from torch import nn

torch.manual_seed(3)

BATCH, FEATURES, CLASSES = 32, 10, 2

net = nn.Linear(FEATURES, CLASSES)
squared_error = nn.MSELoss()
sgd = torch.optim.SGD(net.parameters(), lr=0.01)

samples = torch.randn(BATCH, FEATURES)
class_ids = torch.randint(CLASSES, (BATCH,))

for step in range(1, 101):
    scores = net(samples)
    cost = squared_error(scores, class_ids.float())  # expect: shape-mismatch
    sgd.zero_grad()
    cost.backward()
    sgd.step()
    print(f"step {step:3d}  cost {cost.item():.4f}")
