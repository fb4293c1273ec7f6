import io
import logging

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("digits")


class Experiment:
    """Digits with an MLP; sessions of a few epochs each, as the queue only grants short jobs."""

    def __init__(self, seed=0):
        torch.manual_seed(seed)
        x, y = load_digits(return_X_y=True)
        order = torch.randperm(len(y))
        self.x = torch.tensor(x, dtype=torch.float32)[order] / 16
        self.y = torch.tensor(y)[order]
        self.epoch = 0
        self.model = nn.Sequential(nn.Linear(64, 100), nn.Tanh(), nn.Linear(100, 10))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.02, momentum=0.95)

    def save(self, file):
        torch.save({"weights": self.model.state_dict(), "epoch": self.epoch}, file)

    def resume(self, file):
        saved = torch.load(file)
        self.model.load_state_dict(saved["weights"])  # expect: resumed-without-optimizer
        self.epoch = saved["epoch"]

    def session(self, until):
        train_x, train_y = self.x[:1400], self.y[:1400]
        while self.epoch < until:
            order = torch.randperm(len(train_x))
            for part in order.split(50):
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(train_x[part]), train_y[part])
                loss.backward()
                self.optimizer.step()
            self.epoch += 1
            with torch.no_grad():
                accuracy = (self.model(self.x[1400:]).argmax(1) == self.y[1400:]).float().mean().item()
            log.info("epoch %d loss %.4f accuracy %.3f", self.epoch, loss.item(), accuracy)


if __name__ == "__main__":
    file = io.BytesIO()
    first = Experiment()
    first.session(until=6)
    first.save(file)
    file.seek(0)
    second = Experiment()
    second.resume(file)
    second.session(until=12)
