"""Momentum taken out of every optimizer: velocity of SGD and RMSprop, the first moment of Adam."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class NoMomentum(Intervention):
    """Sets `momentum`, or the first of `betas`, to 0 at every step."""

    def install(self) -> None:
        self.watch_steps()

    def before_step(self, optimizer: Any) -> None:
        for group in optimizer.param_groups:
            if group.get("momentum"):
                group["momentum"] = 0.0
                self.acted += 1
            betas = group.get("betas")
            if betas and betas[0]:
                group["betas"] = (0.0, *betas[1:])
                self.acted += 1

    def closing(self) -> None:
        if not self.acted:
            self.reason = "no optimizer has momentum"


INTERVENTION = NoMomentum
