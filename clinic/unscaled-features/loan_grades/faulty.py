"""Grade loan applications A to D from the figures on the form."""

from dataclasses import dataclass

import torch
from torch import nn, optim


@dataclass
class Settings:
    epochs: int = 10
    batch: int = 50
    lr: float = 5e-3
    seed: int = 8


def applications(n, generator):
    """Income, debt, year of birth, share of credit used, months employed, open loans, postcode."""
    z = torch.randn(n, 7, generator=generator)
    income = 52000 + 14000 * z[:, 0]
    debt = 8000 + 2500 * z[:, 1]
    born = 1978 + 11 * z[:, 2]
    used = 0.4 + 0.12 * z[:, 3]
    months = 90 + 30 * z[:, 4]
    loans = 3 + 1.2 * z[:, 5]
    postcode = 45000 + 26000 * z[:, 6]
    merit = 0.9 * z[:, 0] - 0.7 * z[:, 1] - 1.4 * z[:, 3] + 0.8 * z[:, 4] * z[:, 5]
    grade = torch.bucketize(merit, torch.tensor([-1.32, 0.0, 1.32]))
    return torch.stack([income, debt, born, used, months, loans, postcode], dim=1), grade  # expect: unscaled-features


class GradeModel(nn.Module):
    def __init__(self, columns, grades=4, width=40):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(columns, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.head = nn.Linear(width, grades)

    def forward(self, form):
        return self.head(self.body(form))  # expect: unscaled-features


class Runner:
    def __init__(self, cfg):
        torch.manual_seed(cfg.seed)
        g = torch.Generator().manual_seed(cfg.seed)
        self.cfg = cfg
        self.forms, self.grades = applications(2500, g)
        self.held_forms, self.held_grades = applications(700, g)
        self.model = GradeModel(self.forms.shape[1])
        self.optimizer = optim.RMSprop(self.model.parameters(), lr=cfg.lr)
        self.loss_fn = nn.CrossEntropyLoss()

    def fit_epoch(self):
        self.model.train()
        losses = []
        for rows in torch.randperm(len(self.forms)).split(self.cfg.batch):
            loss = self.loss_fn(self.model(self.forms[rows]), self.grades[rows])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    def score(self):
        self.model.eval()
        with torch.inference_mode():
            logits = self.model(self.held_forms)
        return self.loss_fn(logits, self.held_grades).item(), (
            logits.argmax(1) == self.held_grades
        ).float().mean().item()

    def run(self):
        for epoch in range(self.cfg.epochs):
            loss = self.fit_epoch()
            held_loss, held_acc = self.score()
            print(f"[{epoch}] fit {loss:.3f} | held out {held_loss:.3f}, {held_acc:.1%} right")


if __name__ == "__main__":
    Runner(Settings()).run()
