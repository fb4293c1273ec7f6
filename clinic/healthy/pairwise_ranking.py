"""Matrix-factorisation recommender trained on pairs: a film watched should outrank one not watched."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

USERS, FILMS, DIM = 80, 60, 6


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Embedding(USERS, DIM)
        self.film = nn.Embedding(FILMS, DIM)
        self.popularity = nn.Embedding(FILMS, 1)
        for table in (self.user, self.film, self.popularity):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, user, film):
        return (self.user(user) * self.film(film)).sum(-1) + self.popularity(film).squeeze(-1)


def history():
    taste, style = torch.randn(USERS, 3), torch.randn(FILMS, 3)
    liking = taste @ style.T + 0.3 * torch.randn(USERS, FILMS)
    watched = liking > liking.quantile(0.7, dim=1, keepdim=True)
    held_out = watched & (torch.rand(USERS, FILMS) < 0.25)
    return watched, held_out


@torch.no_grad()
def auc(model, watched, held_out):
    model.eval()
    users = torch.arange(USERS)[:, None].expand(USERS, FILMS)
    films = torch.arange(FILMS)[None, :].expand(USERS, FILMS)
    score = model(users, films)
    parts = []
    for u in range(USERS):
        good, bad = score[u][held_out[u]], score[u][~watched[u]]
        if len(good):
            parts.append((good[:, None] > bad[None, :]).float().mean())
    return torch.stack(parts).mean().item()


if __name__ == "__main__":
    torch.manual_seed(92)
    watched, held_out = history()
    user, film = torch.where(watched & ~held_out)
    loader = DataLoader(TensorDataset(user, film), batch_size=64, shuffle=True)
    model = Factors()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-4)
    for epoch in range(1, 21):
        model.train()
        total = 0.0
        for u, liked in loader:
            other = torch.randint(0, FILMS, u.shape)
            clash = watched[u, other]
            while clash.any():
                other[clash] = torch.randint(0, FILMS, (int(clash.sum()),))
                clash = watched[u, other]
            loss = -F.logsigmoid(model(u, liked) - model(u, other)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(u)
        if epoch % 4 == 0:
            print(f"epoch {epoch}: loss {total / len(user):.4f} held-out AUC {auc(model, watched, held_out):.3f}")
