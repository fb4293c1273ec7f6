"""Sequence tagger with accumulated gradients, cleared through the model itself."""

import torch
import torch.nn as nn


class Tagger(nn.Module):
    """Bidirectional GRU that marks positions whose symbol already occurred next door."""

    def __init__(self, n_symbols=6, dim=16, hidden=24):
        super().__init__()
        self.embed = nn.Embedding(n_symbols, dim)
        self.rnn = nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.score = nn.Linear(2 * hidden, 1)

    def forward(self, symbols):
        states, _ = self.rnn(self.embed(symbols))
        return self.score(states).squeeze(-1)


def tagged(n, length=14):
    symbols = torch.randint(0, 6, (n, length))
    same = symbols[:, 1:] == symbols[:, :-1]
    marks = torch.zeros(n, length)
    marks[:, 1:] += same
    marks[:, :-1] += same
    return symbols, (marks > 0).float()


def evaluate(model, symbols, marks):
    model.eval()
    with torch.inference_mode():
        return ((model(symbols) > 0) == marks.bool()).float().mean().item()


def main(updates=150, accumulation_steps=2, micro_batch=32):
    torch.manual_seed(81)
    model = Tagger()
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3, weight_decay=0.01)
    test_symbols, test_marks = tagged(400)
    for update in range(1, updates + 1):
        model.train()
        window_loss = 0.0
        for _ in range(accumulation_steps):
            symbols, marks = tagged(micro_batch)
            loss = nn.functional.binary_cross_entropy_with_logits(model(symbols), marks) / accumulation_steps
            loss.backward()
            window_loss += loss.item()
        optimizer.step()
        model.zero_grad(set_to_none=True)
        if update % 25 == 0:
            print(f"update {update}: loss {window_loss:.4f} accuracy {evaluate(model, test_symbols, test_marks):.4f}")


if __name__ == "__main__":
    main()
