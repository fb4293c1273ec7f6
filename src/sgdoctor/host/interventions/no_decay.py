"""Weight decay taken out of every optimizer."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class NoDecay(Intervention):
    """Sets `weight_decay` to 0 at every step."""

    def install(self) -> None:
        self.watch_steps()

    def before_step(self, optimizer: Any) -> None:
        for group in optimizer.param_groups:
            if group.get("weight_decay"):
                group["weight_decay"] = 0.0
                self.acted += 1

    def closing(self) -> None:
        if not self.acted:
            self.reason = "no optimizer decays weights"


INTERVENTION = NoDecay
