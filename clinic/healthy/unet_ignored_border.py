"""Small U-Net that labels every pixel as background, disc or square; an unlabelled rim is ignored."""

import torch
import torch.nn as nn
import torch.nn.functional as F

IGNORE = 255


def scenes(n, size=16):
    rows, cols = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = torch.randint(3, size - 3, (n, 2, 2))
    reach = torch.randint(2, 4, (n, 2))
    squared = (rows - centre[:, 0, 0, None, None]) ** 2 + (cols - centre[:, 0, 1, None, None]) ** 2
    disc = squared <= (reach[:, 0, None, None] ** 2 + 1)
    down = (rows - centre[:, 1, 0, None, None]).abs()
    across = (cols - centre[:, 1, 1, None, None]).abs()
    square = torch.maximum(down, across) <= reach[:, 1, None, None]
    mask = torch.zeros(n, size, size, dtype=torch.long)
    mask[disc] = 1
    mask[square] = 2
    image = 1.0 * disc - 1.0 * square * ~disc - 0.5 * (square & disc) + 0.6 * torch.randn(n, size, size)
    mask[:, :1], mask[:, -1:], mask[:, :, :1], mask[:, :, -1:] = IGNORE, IGNORE, IGNORE, IGNORE
    return image[:, None], mask


def double_conv(c_in, c_out):
    layers = []
    for a in (c_in, c_out):
        layers += [nn.Conv2d(a, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, classes=3, width=8):
        super().__init__()
        self.down = double_conv(1, width)
        self.bottom = double_conv(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.merge = double_conv(2 * width, width)
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        fine = self.down(x)
        coarse = self.bottom(F.max_pool2d(fine, 2))
        return self.classify(self.merge(torch.cat([fine, self.up(coarse)], 1)))


@torch.no_grad()
def intersection_over_union(model, image, mask):
    model.eval()
    guess = model(image).argmax(1)
    known = mask != IGNORE
    scores = []
    for k in range(3):
        both = ((guess == k) & (mask == k)).sum().item()
        either = (((guess == k) | (mask == k)) & known).sum().item()
        scores.append(both / either)
    return scores


torch.manual_seed(61)
image, mask = scenes(480)
val_image, val_mask = scenes(120)
model = UNet()
criterion = nn.CrossEntropyLoss(ignore_index=IGNORE)
optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3)
for epoch in range(8):
    model.train()
    losses = []
    for index in torch.randperm(480).split(24):
        optimizer.zero_grad()
        loss = criterion(model(image[index]), mask[index])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scores = ", ".join(f"{score:.3f}" for score in intersection_over_union(model, val_image, val_mask))
    print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f} validation IoU {scores}")
