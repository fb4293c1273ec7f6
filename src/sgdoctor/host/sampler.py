"""Which events are looked at closely: dense at the start, then ever rarer, and never beyond the time budget."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import perf_counter
from typing import Any

DENSE = 6  # first events of a key that are always looked at
SPACING = 1.12  # then each sample is at least this factor later than the last: about 20 samples a decade
CREDIT = 0.05  # seconds that may be spent before the budget binds: what a run of two seconds can spare
PATIENCE = 0.02  # share by which events must grow before a budget that was spent is asked again
# How a run ends is known by late samples. They are taken, spent budget or not, whenever events have grown by a factor:
LOSS_FLOOR = 1.4  # a loss, which is cheap, seven times a decade
FLOOR = 3.0  # anything else twice a decade: a few milliseconds in a thousand steps
MAX_ALARMS = 20  # in one run: a script that builds an optimizer for every task would be sampled throughout
ALARM_SAMPLES = 3  # events of each key looked at closely after something turned non-finite


class Beat:
    """The events of one key: how many there were, and from which on the next may be sampled."""

    __slots__ = ("count", "floor", "growth", "next", "urgent")

    def __init__(self, growth: float) -> None:
        self.count = self.next = self.urgent = 0
        self.growth, self.floor = growth, int(DENSE * growth)


class Root:
    """What backward passes from one line need at every step."""

    __slots__ = ("add", "beat", "marked_next")

    def __init__(self, beat: Beat, add: Callable[[Any, int], None]) -> None:
        self.beat = beat
        self.add = add  # takes the value of the loss, and the step
        self.marked_next = 0  # the pass from which on one is marked, see `kept`


class Sampler:
    """A governor: `due(key)` counts events of a key and says which to sample; `spend(seconds)` charges the budget.

    The clock starts at the first event, not at import, or start-up time would become credit.
    """

    def __init__(self, budget: float, clock: Callable[[], float] = perf_counter) -> None:
        self._budget = budget
        self._clock = clock
        self._started: float | None = None
        self._beats: dict[Hashable, Beat] = {}
        self._alarms = 0
        self.spent = 0.0

    def due(self, key: Hashable) -> bool:
        """Whether this event of `key` should be looked at closely."""
        beat = self._beats.get(key) or self.beat(key)
        count = beat.count
        beat.count = count + 1
        return count >= beat.next and self.take(beat, count)

    def beat(self, key: Hashable) -> Beat:
        """What is kept of a key: who has an event at every step holds on to it."""
        beat = self._beats.get(key)
        if beat is None:
            beat = self._beats[key] = Beat(LOSS_FLOOR if isinstance(key, tuple) and key[0] == "loss" else FLOOR)
            if self._started is None:
                self._started = self._clock()
        return beat

    def take(self, beat: Beat, count: int) -> bool:
        """Whether the budget allows a look at an event that is due, its `count`th; the next one is set."""
        if count < DENSE:
            return True
        if beat.urgent:
            beat.urgent -= 1
        elif count < beat.floor and self.spent > CREDIT + self._budget * self.elapsed():
            beat.next = min(count + 1 + int(count * PATIENCE), max(count + 1, beat.floor))
            return False
        if not beat.urgent:
            beat.next = max(count + 1, int(count * SPACING))
        beat.floor = int(count * beat.growth) + 1
        return True

    def count(self, key: Hashable) -> int:
        """Events of `key` so far."""
        beat = self._beats.get(key)
        return 0 if beat is None else beat.count

    def alarm(self) -> None:
        """Look closely at the next events of every key: something changed (a NaN, a new optimizer)."""
        self._alarms += 1
        for beat in list(self._beats.values()) if self._alarms <= MAX_ALARMS else ():
            beat.urgent, beat.next = ALARM_SAMPLES, 0

    def spend(self, seconds: float) -> None:
        """Charge time to the budget."""
        self.spent += seconds

    def elapsed(self) -> float:
        """Seconds since the first event."""
        return 0.0 if self._started is None else self._clock() - self._started
