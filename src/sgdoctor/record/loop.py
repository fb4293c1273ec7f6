"""The loop between two optimizer steps: events by letter, their lines, and the sizes of accumulated windows."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from .record import Record, Site

# The letters stand in host/probes/loop.py; s scale, p step and d update of a gradient scaler in probes/precision.py.
Event = tuple[str, "int | None", "int | None"]


class Window(NamedTuple):
    """One signature and how often it came."""

    events: list[Event]
    times: int
    first: int


def windows(record: Record) -> list[Window]:
    """All signatures, each with its last count."""
    found: dict[object, Window] = {}
    for row in record.rows("window"):
        events: list[Event] = [(letter, site, owner) for letter, site, owner in row.get("events", [])]
        found[row.get("i")] = Window(events, row.get("count", 0), row.get("first", 0))
    return list(found.values())


def lines_of(record: Record, letter: str, optimizer: int | None = None) -> list[tuple[Site, int]]:
    """(line, how often) of one kind of event, the most frequent first."""
    counts: Counter[int] = Counter()
    for window in windows(record):
        for name, site, owner in window.events:
            if name == letter and site is not None and (optimizer is None or owner == optimizer):
                counts[site] += max(1, window.times)
    return [(found, count) for site, count in counts.most_common() if (found := record.site(site)) is not None]


class Accumulated(NamedTuple):
    """Windows of one optimizer at one line of backward: {backward passes: how often}."""

    site: int | None
    clear_site: int | None
    dropped: bool
    sizes: dict[int, int]

    @property
    def passes(self) -> int:
        """Backward passes in all of them."""
        return sum(size * count for size, count in self.sizes.items())

    @property
    def usual(self) -> int:
        """The most frequent size."""
        return max(self.sizes, key=lambda size: self.sizes[size], default=0)


def accumulated(record: Record, optimizer: int) -> list[Accumulated]:
    """What the steps of an optimizer used, and what was cleared without one."""
    latest: dict[tuple[object, ...], Accumulated] = {}
    for row in record.rows("accumulation", opt=optimizer):
        key = (row.get("site"), row.get("clear_site"), bool(row.get("dropped")))
        sizes = {size: count for size, count in row.get("sizes", [])}
        if sizes:
            latest[key] = Accumulated(row.get("site"), row.get("clear_site"), bool(row.get("dropped")), sizes)
    return list(latest.values())
