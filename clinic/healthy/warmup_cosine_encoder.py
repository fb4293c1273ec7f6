"""Small transformer encoder that reads event logs, with linear warm-up and cosine decay of the rate."""

import math

import torch
import torch.nn as nn

PAD, SUMMARY, LOGIN, FAILURE = 0, 1, 2, 3
EVENTS = 20
LENGTH = 17


def logs(n):
    """Logs of 8 to 16 events holding one login and one failure; wanted is whether the login came first."""
    ids = torch.randint(4, EVENTS, (n, LENGTH))
    ids[:, 0] = SUMMARY
    span = torch.randint(8, LENGTH, (n,))
    places = torch.rand(n, LENGTH - 1)
    places[torch.arange(LENGTH - 1)[None, :] >= span[:, None]] = -1
    spots = places.topk(2, dim=1).indices + 1
    rows = torch.arange(n)
    ids[rows, spots[:, 0]] = LOGIN
    ids[rows, spots[:, 1]] = FAILURE
    ids[torch.arange(LENGTH)[None, :] > span[:, None]] = PAD
    return ids, (spots[:, 0] < spots[:, 1]).float()


class LogEncoder(nn.Module):
    def __init__(self, dim=32, heads=4, depth=2):
        super().__init__()
        self.token = nn.Embedding(EVENTS, dim)
        self.position = nn.Parameter(0.5 * torch.randn(LENGTH, dim))
        layer = nn.TransformerEncoderLayer(dim, heads, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.readout = nn.Linear(dim, 1)

    def forward(self, ids):
        hidden = self.encoder(self.token(ids) + self.position, src_key_padding_mask=ids == PAD)
        return self.readout(hidden[:, 0]).squeeze(-1)


def schedule(step, warmup=30, total=210):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def main():
    torch.manual_seed(4)
    ids, labels = logs(1440)
    test_ids, test_labels = logs(400)
    model = LogEncoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(7):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(ids)).split(48):
            optimizer.zero_grad()
            loss = criterion(model(ids[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(rows)
        model.eval()
        with torch.no_grad():
            hits = ((model(test_ids) > 0) == test_labels.bool()).float().mean().item()
        print(f"epoch {epoch + 1} loss {total / len(ids):.4f} test {hits:.3f} lr {scheduler.get_last_lr()[0]:.2e}")


if __name__ == "__main__":
    main()
