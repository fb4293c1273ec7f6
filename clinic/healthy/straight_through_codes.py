"""Autoencoder with a binary bottleneck, trained through its rounding by the straight-through estimate."""

import torch
import torch.nn as nn


class Binarise(torch.autograd.Function):
    """Sign forward; in backward the gradient passes unchanged where the input lies within one of zero."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1).to(grad.dtype)


class BinaryAutoencoder(nn.Module):
    def __init__(self, dim=32, bits=10):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(dim, 64), nn.ReLU(), nn.Linear(64, bits), nn.Tanh())
        self.decoder = nn.Sequential(nn.Linear(bits, 64), nn.ReLU(), nn.Linear(64, dim))

    def forward(self, x):
        return self.decoder(Binarise.apply(self.encoder(x)))


def switchboards(n, wiring):
    switches = torch.randint(0, 2, (n, len(wiring))).float() * 2 - 1
    return switches @ wiring + 0.1 * torch.randn(n, wiring.shape[1])


def main():
    torch.manual_seed(46)
    wiring = torch.randn(8, 32) / 8**0.5
    train, test = switchboards(2000, wiring), switchboards(500, wiring)
    model = BinaryAutoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(16):
        model.train()
        error = 0.0
        for rows in torch.randperm(len(train)).split(50):
            loss = nn.functional.mse_loss(model(train[rows]), train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            error += loss.item() / 40
        model.eval()
        with torch.no_grad():
            test_error = nn.functional.mse_loss(model(test), test).item()
        if epoch % 3 == 0:
            print(f"epoch {epoch}: train {error:.4f} test {test_error:.4f} of variance {test.var().item():.3f}")


if __name__ == "__main__":
    main()
