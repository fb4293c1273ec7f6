"""Classifier for two instruments whose features are made alike by a gradient-reversal layer."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(59)


class Reverse(torch.autograd.Function):
    """Identity forward; in backward the gradient is turned round and scaled, so the features oppose the critic."""

    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.strength * grad, None


def measured(n, instrument):
    x = torch.randn(n, 6)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).long()
    offset = torch.tensor([0.0, 0.0, 0.0, 1.0, -1.0, 0.5])
    x = x + (offset if instrument else -offset)
    return x, y


features = nn.Sequential(nn.Linear(6, 48), nn.LeakyReLU(0.1), nn.Linear(48, 24), nn.LeakyReLU(0.1))
label_head = nn.Linear(24, 2)
instrument_head = nn.Sequential(nn.Linear(24, 24), nn.LeakyReLU(0.1), nn.Linear(24, 1))
everything = [*features.parameters(), *label_head.parameters(), *instrument_head.parameters()]
optimizer = torch.optim.Adam(everything, lr=2e-3)
x_test, y_test = measured(800, instrument=1)

for it in range(1, 501):
    x_known, y_known = measured(64, instrument=0)
    x_new, _ = measured(64, instrument=1)
    h = features(torch.cat([x_known, x_new]))
    label_loss = F.cross_entropy(label_head(h[:64]), y_known)
    guess = instrument_head(Reverse.apply(h, 0.3)).squeeze(1)
    source = torch.cat([torch.zeros(64), torch.ones(64)])
    instrument_loss = F.binary_cross_entropy_with_logits(guess, source)
    loss = label_loss + instrument_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if it % 50 == 0:
        with torch.no_grad():
            accuracy = (label_head(features(x_test)).argmax(1) == y_test).float().mean().item()
        print(f"{it} label {label_loss:.4f} instrument {instrument_loss:.4f} new-instrument accuracy {accuracy:.3f}")
