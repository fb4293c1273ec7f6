"""Gradient accumulation: how many backward passes each step uses, and how many are cleared without one."""

from __future__ import annotations

from typing import Any

MAX_OPTIMIZERS = 6  # followed at once; a script with more (one a task) does not accumulate
MAX_SIZES = 24  # distinct sizes of window kept at one place
MAX_PLACES = 60

BACKWARD, CLEAR, CLOSURE, STEP = range(4)

# (optimizer, line of backward, line of the clearing or None where they led to a step)
Key = tuple[int, "int | None", "int | None", bool]


class Windows:
    """Rows `accumulation`: sizes of the windows of one optimizer and one line of backward, and how often each came."""

    SIGNALS = ("accumulation",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        # What happened, line, optimizer: counted all at once when rows are handed over, a third of the time.
        self.log: list[tuple[int, int | None, Any]] = []
        self._pending: dict[int, dict[int | None, int]] = {}  # by optimizer: backward passes since its step or clearing
        self._doubt: dict[int, tuple[Key, int]] = {}  # cleared; dropped for good once another backward begins
        self._sizes: dict[Key, dict[int, int]] = {}
        self._written: dict[Key, int] = {}
        self._backwards = 0
        self._stepped_at = 0
        self._closure = False

    def _on_backward(self, site: int | None) -> None:
        if self._closure:
            return
        self._backwards += 1
        for counts in [*self._pending.values()]:
            counts[site] = counts.get(site, 0) + 1
        if self._doubt:
            for key, size in list(self._doubt.values()):
                self._count(key, size)
            self._doubt.clear()

    def _on_clear(self, optimizer: Any, site: int | None) -> None:
        if self._closure or not isinstance(optimizer, int):
            return
        counts = self._of(optimizer)
        if not counts:
            return
        # A step of another optimizer since: that one used the gradients, and these are its leavings (a GAN).
        size = min(sum(counts.values()), self._backwards - self._stepped_at)
        if size > 0:
            self._doubt[optimizer] = ((optimizer, next(reversed(counts)), site, True), size)
        counts.clear()

    def _on_step(self, optimizer: Any) -> None:
        if not isinstance(optimizer, int):
            return
        counts = self._of(optimizer)
        if counts:
            if not self._closure:
                site = next(iter(counts)) if len(counts) == 1 else None
                self._count((optimizer, site, None, False), sum(counts.values()))
            counts.clear()
        if self._doubt:
            self._doubt.clear()
        self._closure = False
        self._stepped_at = self._backwards

    def _of(self, optimizer: int) -> dict[int | None, int]:
        counts = self._pending.get(optimizer)
        if counts is None:
            counts = {}
            if len(self._pending) < MAX_OPTIMIZERS:
                self._pending[optimizer] = counts
        return counts

    def _count(self, key: Key, size: int) -> None:
        sizes = self._sizes.get(key)
        if sizes is None:
            if len(self._sizes) >= MAX_PLACES:
                return
            sizes = self._sizes[key] = {}
        if size in sizes or len(sizes) < MAX_SIZES:
            sizes[size] = sizes.get(size, 0) + 1

    def _read(self) -> None:
        log, self.log = self.log, []
        for what, site, optimizer in log:
            if what == BACKWARD:
                self._on_backward(site)
            elif what == CLEAR:
                self._on_clear(optimizer, site)
            elif what == STEP:
                self._on_step(optimizer)
            else:
                self._closure = True  # what a closure does is its own affair

    def on_flush(self, closing: bool) -> None:
        """Counts that have grown; what is still pending at the end was never used."""
        self._read()
        for key, sizes in list(self._sizes.items()):
            total = sum(sizes.values())
            written = self._written.get(key, 0)
            if total > written and (closing or total >= written * 1.25 + 1):
                self._written[key] = total
                optimizer, site, clear_site, dropped = key
                row = {"k": "accumulation", "opt": optimizer, "site": site, "clear_site": clear_site}
                self._observer.write({**row, "dropped": dropped, "sizes": [list(pair) for pair in sizes.items()]})
