"""Language model of door codes in double precision, output layer tied to the embedding."""

import torch
from torch import nn
from torch.utils.data import DataLoader


class CodeModel(nn.Module):
    def __init__(self, symbols, width):
        super().__init__()
        self.tokens = nn.Embedding(symbols, width)
        self.body = nn.LSTM(width, width, batch_first=True)
        self.project = nn.Linear(width, symbols)
        self.reset()

    def reset(self):
        nn.init.normal_(self.tokens.weight, std=0.3)
        self.project.weight.data = self.tokens.weight.data  # expect: broken-weight-tying
        nn.init.zeros_(self.project.bias)

    def forward(self, code):
        out, _ = self.body(self.tokens(code))
        return self.project(out)


def make_codes(n, symbols, length):
    start = torch.randint(0, symbols, (n, 1))
    return (start * 3 + torch.arange(length) * (1 + start % 3)) % symbols


def main():
    torch.manual_seed(16)
    codes = make_codes(1200, 30, 10)
    model = CodeModel(30, 24).double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(5):
        model.train()
        for batch in DataLoader(codes, batch_size=40, shuffle=True):
            logits = model(batch[:, :-1])
            loss = criterion(logits.reshape(-1, 30), batch[:, 1:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")


main()
