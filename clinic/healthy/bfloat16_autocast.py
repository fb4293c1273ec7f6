"""Image-patch classifier trained under bfloat16 autocast on the CPU, weights kept in float32."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)


def textures(n, size=8):
    """Gratings of four orientations with random phase."""
    orientation = torch.randint(0, 4, (n,))
    angle = orientation * torch.pi / 4
    phase = 2 * torch.pi * torch.rand(n)
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    wave = torch.cos(angle)[:, None, None] * xx + torch.sin(angle)[:, None, None] * yy
    images = torch.sin(1.6 * wave + phase[:, None, None]) + 0.5 * torch.randn(n, size, size)
    return images[:, None] / 0.87, orientation


net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(256, 4),
)
optimizer = torch.optim.AdamW(net.parameters(), lr=1.5e-3)
loss_fn = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(*textures(1500)), batch_size=50, shuffle=True)
val_images, val_labels = textures(400)

for epoch in range(6):
    net.train()
    total = 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_fn(net(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
    net.eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        accuracy = (net(val_images).argmax(1) == val_labels).float().mean().item()
    print(f"epoch {epoch} loss {total / 1500:.4f} val accuracy {accuracy:.3f}")
