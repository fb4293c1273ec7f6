"""Low-rank linear layer with a hand-written backward that saves memory."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class FactorizedMatmul(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, down, up):
        hidden = inputs @ down
        ctx.save_for_backward(inputs, down, up)
        return hidden @ up

    @staticmethod
    def backward(ctx, grad_output):  # expect: wrong-custom-gradient
        inputs, down, up = ctx.saved_tensors
        hidden = inputs @ down
        grad_hidden = grad_output @ up.t()
        grad_inputs = grad_hidden @ down.t()
        grad_down = inputs.t() @ hidden  # expect: wrong-custom-gradient
        grad_up = hidden.t() @ grad_output
        return grad_inputs, grad_down, grad_up


class LowRank(nn.Module):
    def __init__(self, n_in, n_out, rank):
        super().__init__()
        self.down = nn.Parameter(torch.randn(n_in, rank) / n_in**0.5)
        self.up = nn.Parameter(torch.randn(rank, n_out) / rank**0.5)

    def forward(self, x):
        return FactorizedMatmul.apply(x, self.down, self.up)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = LowRank(20, 48, 8)
        self.l2 = nn.Linear(48, 4)

    def forward(self, x):
        return self.l2(torch.tanh(self.l1(x)))


def main():
    torch.manual_seed(4)
    x = torch.randn(600, 20)
    w = torch.randn(20, 4)
    y = (x @ w).argmax(1)
    loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(8):
        total = 0.0
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
        print(f"epoch {epoch} loss {total / 600:.4f}")


if __name__ == "__main__":
    main()
