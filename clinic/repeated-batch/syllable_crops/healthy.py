"""Character model over an artificial language, random crops from the corpus."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(40)
SYLLABLES = ["ba", "ko", "ri", "tus", "mel", "an", "do", "shi", "pra", "gu"]


def make_text(n_words):
    g = torch.Generator().manual_seed(1)
    lexicon = ["".join(SYLLABLES[i] for i in torch.randint(0, 10, (3,), generator=g)) for _ in range(40)]
    return " ".join(lexicon[i] for i in torch.randint(0, 40, (n_words,), generator=g))


text = make_text(6000)
chars = sorted(set(text))
lookup = {c: i for i, c in enumerate(chars)}
data = torch.tensor([lookup[c] for c in text])
cut = int(0.9 * len(data))
train_data, val_data = data[:cut], data[cut:]
BLOCK, BATCH = 24, 16
crops = torch.Generator().manual_seed(1337)


def get_batch(split):
    src = train_data if split == "train" else val_data
    ix = torch.randint(len(src) - BLOCK - 1, (BATCH,), generator=crops)
    x = torch.stack([src[i:i + BLOCK] for i in ix])
    y = torch.stack([src[i + 1:i + BLOCK + 1] for i in ix])
    return x, y


class CharGRU(nn.Module):
    def __init__(self, v, d=48):
        super().__init__()
        self.emb = nn.Embedding(v, d)
        self.rnn = nn.GRU(d, d, batch_first=True)
        self.head = nn.Linear(d, v)

    def forward(self, x):
        h, _ = self.rnn(self.emb(x))
        return self.head(h)


@torch.no_grad()
def estimate(model):
    model.eval()
    starts = torch.arange(0, len(val_data) - BLOCK - 1, BLOCK)
    x = torch.stack([val_data[i:i + BLOCK] for i in starts])
    y = torch.stack([val_data[i + 1:i + BLOCK + 1] for i in starts])
    model.train()
    return F.cross_entropy(model(x).transpose(1, 2), y).item()


model = CharGRU(len(chars))
opt = torch.optim.AdamW(model.parameters(), lr=5e-3)
for it in range(401):
    xb, yb = get_batch("train")
    loss = F.cross_entropy(model(xb).transpose(1, 2), yb)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    if it % 50 == 0:
        print(f"iter {it}: train {loss.item():.4f} val {estimate(model):.4f}")
