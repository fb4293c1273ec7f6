"""Classify hand gestures from 24 summary features of a motion sensor, trained for a fixed number of steps."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)

GESTURES = ["rest", "wave", "tap", "pinch", "swipe", "circle"]
STEPS = 400


def synth_features(n):
    centres = torch.randn(len(GESTURES), 2, 8, generator=torch.Generator().manual_seed(1)) * 1.5
    mixing = torch.randn(8, 24, generator=torch.Generator().manual_seed(2))
    gesture = torch.randint(0, len(GESTURES), (n,))
    variant = torch.randint(0, 2, (n,))
    latent = centres[gesture, variant] + 0.6 * torch.randn(n, 8)
    return torch.tanh(latent @ mixing / 4) + 0.1 * torch.randn(n, 24), gesture


x, y = synth_features(3000)
x_fit, y_fit, x_dev, y_dev = x[:2400], y[:2400], x[2400:], y[2400:]
mu, sigma = x_fit.mean(0, keepdim=True), x_fit.std(0, keepdim=True)
x_fit, x_dev = (x_fit - mu) / sigma, (x_dev - mu) / sigma

loader = DataLoader(TensorDataset(x_fit, y_fit), batch_size=48, shuffle=True)
model = nn.Sequential(
    nn.Linear(24, 64),
    nn.ELU(),
    nn.Linear(64, 64),
    nn.ELU(),
    nn.Linear(64, len(GESTURES)),
)
objective = nn.CrossEntropyLoss()
sgd = torch.optim.SGD(model.parameters(), lr=0.1)


def dev_accuracy():
    model.eval()
    with torch.no_grad():
        guess = model(x_dev).argmax(-1)
    model.train()
    return (guess == y_dev).float().mean().item()


window = []
step = 0
while step < STEPS:
    for features, gesture in loader:
        cost = objective(model(features), gesture)
        cost.backward()  # expect: missing-zero-grad
        sgd.step()  # expect: missing-zero-grad
        window.append(cost.item())
        step += 1
        if step % 50 == 0:
            print(f"step {step:4d}  mean loss {sum(window) / len(window):8.4f}  dev acc {dev_accuracy():.3f}")
            window.clear()
        if step == STEPS:
            break
