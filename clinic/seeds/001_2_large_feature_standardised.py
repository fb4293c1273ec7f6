"""Linear softmax on two measurements in different units, standardised before training."""

# verdict: at-the-floor

import torch
import torch.nn.functional as F

torch.manual_seed(12)
n = 100
raw = torch.stack([torch.randn(n), 1000 * torch.randn(n)], dim=1)
labels = torch.randint(0, 2, (n,))  # expect: uninformative-labels

centre, spread = raw.mean(dim=0), raw.std(dim=0)
features = (raw - centre) / spread

classifier = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(classifier.parameters(), lr=0.01)

for epoch in range(100):
    logits = classifier(features)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0 or epoch == 99:
        print(f"epoch {epoch}: {loss.item():.4f}")
