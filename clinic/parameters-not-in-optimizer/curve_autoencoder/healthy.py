"""Learn a four-number code for measured curves with separate encoder and decoder networks."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
LENGTH, CODE = 48, 4


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 5, stride=2, padding=2)
        self.fc = nn.Linear(8 * LENGTH // 2, CODE)

    def forward(self, curve):
        return self.fc(F.leaky_relu(self.conv(curve.unsqueeze(1))).flatten(1))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(CODE, 96)
        self.fc2 = nn.Linear(96, LENGTH)

    def forward(self, code):
        return self.fc2(F.leaky_relu(self.fc1(code)))


def sample_curves(n):
    t = torch.linspace(0, 1, LENGTH)
    freq = 1.0 + torch.rand(n, 1)
    phase = 2 * math.pi * torch.rand(n, 1)
    tilt = 0.7 * torch.randn(n, 1)
    return torch.sin(2 * math.pi * freq * t + phase) + tilt * (t - 0.5) + 0.05 * torch.randn(n, LENGTH)


train_curves, val_curves = sample_curves(3000), sample_curves(500)
scale = train_curves.std()
train_curves, val_curves = train_curves / scale, val_curves / scale

encoder, decoder = Encoder(), Decoder()
optimizer = torch.optim.Adam(list(encoder.parameters()) + list(decoder.parameters()), lr=3e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=15)

for epoch in range(15):
    encoder.train(), decoder.train()
    train_loss = 0.0
    for chunk in train_curves[torch.randperm(len(train_curves))].split(60):
        loss = F.mse_loss(decoder(encoder(chunk)), chunk)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(chunk)
    scheduler.step()
    encoder.eval(), decoder.eval()
    with torch.no_grad():
        val_loss = F.mse_loss(decoder(encoder(val_curves)), val_curves).item()
    print("epoch", epoch, "train", round(train_loss / len(train_curves), 4), "val", round(val_loss, 4))
