"""Digit-like dot patterns learnt with a sign-momentum optimizer written in the script."""

import torch
import torch.nn as nn


class SignMomentum(torch.optim.Optimizer):
    """Steps by the sign of an interpolated momentum, with decoupled weight decay."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(torch.sign(beta1 * momentum + (1 - beta1) * p.grad), alpha=-group["lr"])
                momentum.lerp_(p.grad, 1 - beta2)
        return loss


PATTERNS = (torch.rand(8, 36, generator=torch.Generator().manual_seed(2)) < 0.45).float() * 2 - 1


def noisy_patterns(n):
    label = torch.randint(0, 8, (n,))
    flipped = torch.where(torch.rand(n, 36) < 0.18, -1.0, 1.0)
    return PATTERNS[label] * flipped, label


def main():
    torch.manual_seed(68)
    net = nn.Sequential(nn.Linear(36, 48), nn.ReLU(), nn.Linear(48, 8))
    optimizer = SignMomentum(net.parameters(), lr=5e-4, weight_decay=0.1)
    x_val, y_val = noisy_patterns(600)
    for step in range(1, 401):
        net.train()
        x, y = noisy_patterns(64)
        loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            net.eval()
            with torch.no_grad():
                accuracy = (net(x_val).argmax(1) == y_val).float().mean().item()
            print(f"step {step} loss {loss.item():.4f} val accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
