"""Tell five synthetic textures apart with a convolutional network that uses batch normalisation."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class TextureBank:
    """Draws 12x12 textures: checks, dots, rows, columns, plain noise."""

    def __init__(self, seed):
        self.g = torch.Generator().manual_seed(seed)

    def draw(self, n):
        label = torch.randint(0, 5, (n,), generator=self.g)
        i = torch.arange(12).view(1, 12, 1) + torch.randint(0, 4, (n, 1, 1), generator=self.g)
        j = torch.arange(12).view(1, 1, 12) + torch.randint(0, 4, (n, 1, 1), generator=self.g)
        rows, cols = ((i // 2) % 2).float().expand(n, 12, 12), ((j // 2) % 2).float().expand(n, 12, 12)
        checks = (rows + cols) % 2
        dots = ((i % 3 == 0) & (j % 3 == 0)).float()
        plain = torch.full((n, 12, 12), 0.5)
        stack = torch.stack([checks, dots, rows, cols, plain], dim=1)
        picture = stack[torch.arange(n), label]
        picture = picture + 0.8 * torch.randn(n, 12, 12, generator=self.g)
        return ((picture - 0.45) / 0.92).unsqueeze(1), label


class TextureNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.25)
        self.fc = nn.Linear(16 * 9, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc(self.drop(x.flatten(1)))


def fit(net, train, val, epochs=9, batch=50):
    images, labels = train
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[5, 8], gamma=0.2)
    for epoch in range(epochs):
        net.train()
        loss_total = 0.0
        for picks in torch.randperm(len(labels)).split(batch):
            logits = net(images[picks])
            loss = F.cross_entropy(logits, labels[picks])
            opt.zero_grad()
            loss.backward()
            opt.step()
            loss_total += loss.item() * len(picks)
        sched.step()

        with torch.inference_mode():  # expect: train-mode-in-eval
            hits, val_loss = 0, 0.0
            for images_v, labels_v in zip(val[0].split(batch), val[1].split(batch)):
                scores = net(images_v)  # expect: train-mode-in-eval
                val_loss += F.cross_entropy(scores, labels_v, reduction="sum").item()
                hits += (scores.argmax(1) == labels_v).sum().item()
        n_val = len(val[1])
        print(f"{epoch}\t{loss_total / len(labels):.4f}\t{val_loss / n_val:.4f}\t{hits / n_val:.3f}")


if __name__ == "__main__":
    torch.manual_seed(14)
    print("epoch\ttrain\tval\taccuracy")
    fit(TextureNet(), TextureBank(1).draw(2000), TextureBank(2).draw(500))
