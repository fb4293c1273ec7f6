"""The shape of the learning rate over the run: warmed up at its start, or cut at some step."""

from __future__ import annotations

from typing import Any

from .lr import LearningRate


class RateShape(LearningRate):
    """The script's own rates, times a factor that depends on how many steps an optimizer has taken.

    `warmup`: over so many steps the factor rises from 1 / warmup to 1. `cut`: from this step on it is `factor`.
    """

    def __init__(
        self, observer: Any, name: str, *, warmup: int = 0, cut: int | None = None, factor: float = 0.1
    ) -> None:
        super().__init__(observer, name)
        self._warmup = warmup
        self._cut = cut
        self._later = factor
        self._taken: dict[int, int] = {}

    def before_step(self, optimizer: Any) -> None:
        taken = self._taken[id(optimizer)] = self._taken.get(id(optimizer), 0) + 1
        self._factor = min(1.0, taken / self._warmup) if self._warmup else 1.0
        if self._cut is not None and taken > self._cut:
            self._factor *= self._later
        super().before_step(optimizer)


INTERVENTION = RateShape
