"""Linear softmax on two measurements that come in very different units."""

# verdict: faulty

import torch
import torch.nn.functional as F

torch.manual_seed(12)
n = 100
metres = torch.randn(n)
millimetres = 1000 * torch.randn(n)  # expect: unscaled-features
features = torch.stack([metres, millimetres], dim=1)  # expect: unscaled-features
labels = torch.randint(0, 2, (n,))

classifier = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(classifier.parameters(), lr=0.01)

for epoch in range(100):
    logits = classifier(features)  # expect: unscaled-features
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0 or epoch == 99:
        print(f"epoch {epoch}: {loss.item():.4f}")
