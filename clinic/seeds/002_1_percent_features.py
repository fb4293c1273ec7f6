"""Linear classifier on two percentages between 0 and 100, moved to the device batch by batch."""

# verdict: faulty

import torch
import torch.nn as nn

torch.manual_seed(21)
device = "cuda" if torch.cuda.is_available() else "cpu"

percentages = 100 * torch.rand(100, 2)  # expect: unscaled-features
passed = torch.randint(0, 2, (100,))

clf = nn.Linear(2, 2).to(device)
criterion = nn.CrossEntropyLoss()
sgd = torch.optim.SGD(clf.parameters(), lr=0.01)

for epoch in range(100):
    x = percentages.to(device)
    y = passed.to(device)
    out = clf(x)  # expect: unscaled-features
    loss = criterion(out, y)
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    if epoch % 10 == 0:
        print("epoch", epoch, "loss", round(loss.item(), 4))
