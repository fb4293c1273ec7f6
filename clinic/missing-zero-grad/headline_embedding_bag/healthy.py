"""Sort headlines, given as token ids, into four sections of a newspaper with an averaged embedding."""

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader

SECTIONS = ("politics", "sport", "science", "culture")
VOCABULARY = 300


def headlines(count: int) -> list[tuple[Tensor, int]]:
    """Every section prefers its own tokens; all of them share the rest."""
    preference = torch.ones(len(SECTIONS), VOCABULARY)
    for section in range(len(SECTIONS)):
        preference[section, section * 40 : (section + 1) * 40] = 6.0
    rows = []
    for _ in range(count):
        section = int(torch.randint(len(SECTIONS), ()))
        words = int(torch.randint(6, 14, ()))
        rows.append((torch.multinomial(preference[section], words, replacement=True), section))
    return rows


def stack(rows: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    tokens = torch.cat([words for words, _ in rows])
    starts = torch.tensor([0] + [len(words) for words, _ in rows[:-1]]).cumsum(0)
    return tokens, starts, torch.tensor([section for _, section in rows])


class SectionNet(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(VOCABULARY, width, mode="mean")
        self.hidden = nn.Linear(width, width)
        self.section = nn.Linear(width, len(SECTIONS))

    def forward(self, tokens: Tensor, starts: Tensor) -> Tensor:
        return self.section(torch.tanh(self.hidden(self.bag(tokens, starts))))


@torch.no_grad()
def share_right(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    right = [(model(tokens, starts).argmax(1) == section) for tokens, starts, section in loader]
    return torch.cat(right).float().mean().item()


def main() -> None:
    torch.manual_seed(8)
    rows = headlines(2400)
    train_loader = DataLoader(rows[:2000], batch_size=40, shuffle=True, collate_fn=stack)
    held_out = DataLoader(rows[2000:], batch_size=100, collate_fn=stack)

    model = SectionNet()
    adam = optim.Adam(model.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(8):
        model.train()
        losses = []
        for tokens, starts, section in train_loader:
            loss = criterion(model(tokens, starts), section)
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        print(f"epoch {epoch} loss {sum(losses) / len(losses):.4f} held out {share_right(model, held_out):.3f}")


if __name__ == "__main__":
    main()
