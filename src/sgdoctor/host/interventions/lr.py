"""Every optimizer's learning rate times a factor, whatever schedule the script has for it."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class LearningRate(Intervention):
    """At each step the rates are what the script has set, times `factor`; between steps the script sees its own.

    A schedule, a warm-up and rates set by hand in `param_groups` so scale with it, which a changed first rate would
    not do for those that set absolute rates.
    """

    def __init__(self, observer: Any, name: str, *, factor: float = 1.0) -> None:
        super().__init__(observer, name)
        self._factor = factor
        self._own: list[Any] = []

    def install(self) -> None:
        self.watch_steps()

    def before_step(self, optimizer: Any) -> None:
        self._own = [group.get("lr") for group in optimizer.param_groups]
        for group, rate in zip(optimizer.param_groups, self._own):
            if rate is not None:
                group["lr"] = rate * self._factor
                self.acted += 1

    def after_step(self, optimizer: Any) -> None:
        for group, rate in zip(optimizer.param_groups, self._own):
            if rate is not None:
                group["lr"] = rate

    def closing(self) -> None:
        if not self.acted:
            self.reason = "no optimizer stepped: the rate stands in the script's own arithmetic"


INTERVENTION = LearningRate
