"""Which events are looked at closely: dense at the start, then ever rarer, and never beyond the time budget."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import perf_counter

DENSE = 6  # first events of a key that are always looked at
SPACING = 1.12  # then each sample is at least this factor later than the last: about 20 samples a decade
CREDIT = 0.08  # seconds that may be spent before the budget binds: what a run of two seconds can spare
ALARM_SAMPLES = 3  # events of each key looked at closely after something turned non-finite


class Sampler:
    """A governor: `due(key)` counts events of a key and says which to sample; `spend(seconds)` is charged to the budget.

    The clock starts at the first event, not at import, or start-up time would become credit.
    """

    def __init__(self, budget: float, clock: Callable[[], float] = perf_counter) -> None:
        self._budget = budget
        self._clock = clock
        self._started: float | None = None
        self._counts: dict[Hashable, int] = {}
        self._next: dict[Hashable, int] = {}
        self._urgent: dict[Hashable, int] = {}
        self.spent = 0.0

    def due(self, key: Hashable) -> bool:
        """Whether this event of `key` should be looked at closely."""
        if self._started is None:
            self._started = self._clock()
        count = self._counts.get(key, 0)
        self._counts[key] = count + 1
        if count < DENSE:
            return True
        urgent = self._urgent.get(key, 0)
        if urgent:
            self._urgent[key] = urgent - 1
            return True
        if count < self._next.get(key, 0):
            return False
        if self.spent > CREDIT + self._budget * (self._clock() - self._started):
            return False
        self._next[key] = max(count + 1, int(count * SPACING))
        return True

    def count(self, key: Hashable) -> int:
        """Events of `key` so far."""
        return self._counts.get(key, 0)

    def alarm(self) -> None:
        """Look closely at the next events of every key: something just turned non-finite."""
        for key in self._counts:
            self._urgent[key] = ALARM_SAMPLES

    def spend(self, seconds: float) -> None:
        """Charge time to the budget."""
        self.spent += seconds

    def elapsed(self) -> float:
        """Seconds since the first event."""
        return 0.0 if self._started is None else self._clock() - self._started
