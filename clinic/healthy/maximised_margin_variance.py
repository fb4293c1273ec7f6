"""First principal direction of a cloud by gradient ascent on the projected variance, optimizer set to maximise."""

import torch

torch.manual_seed(6)
mixing = torch.tensor([[2.0, 0.3, 0.0], [0.3, 0.8, 0.1], [0.0, 0.1, 0.4]])
cloud = torch.randn(2000, 3) @ mixing
cloud = cloud - cloud.mean(0)
direction = torch.randn(3).requires_grad_()
optimizer = torch.optim.SGD([direction], lr=0.05, maximize=True)
for step in range(120):
    rows = torch.randint(0, 2000, (256,))
    unit = direction / direction.norm()
    spread = (cloud[rows] @ unit).square().mean()
    optimizer.zero_grad()
    spread.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step + 1}: projected variance {spread.item():.3f}")
top = torch.linalg.eigh(cloud.T @ cloud / len(cloud)).eigenvectors[:, -1]
print("agreement with the eigenvector", abs(float(top @ direction.detach() / direction.detach().norm())))
