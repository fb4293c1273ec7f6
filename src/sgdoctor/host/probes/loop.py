"""The training loop as a signature: which calls happen, at which lines, between two optimizer steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

MAX_EVENTS = 400  # of one window; a longer one is cut and marked
MAX_WINDOWS = 150  # distinct windows kept
SERIES = 4096  # values of the loss kept at full resolution; then every stride-th block is averaged

# One letter an event: z zero_grad, m module.zero_grad, l loss function, B backward, c clip, u unscale, S step,
# h scheduler step, T train(), E eval(), g autograd.grad
Event = tuple[str, "int | None", "int | None"]


class Loop:
    """Rows `window` (a signature and how often it came) and `objective` (the loss by line of backward)."""

    SIGNALS = ("loop_windows", "objective")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._window: list[Event] = []
        self._windows: dict[tuple[Event, ...], list[int]] = {}
        self._known: dict[tuple[Event, ...], list[int]] = {}  # the same counters by window as it came, uncompressed
        self._written: dict[tuple[Event, ...], int] = {}
        self._series: dict[int | None, Series] = {}

    def on_event(self, letter: str, site: int | None, optimizer: int | None = None) -> None:
        """Something of the loop happened at a line."""
        window = self._window
        if len(window) < MAX_EVENTS:
            window.append((letter, site, optimizer))

    def on_objective(self, site: int | None, value: Any) -> None:
        """A loss is about to be backpropagated; `value` is a number or a tensor to be read later."""
        self.series(site).add(value, self._observer.steps)

    def series(self, site: int | None) -> Series:
        """The losses backpropagated at a line."""
        series = self._series.get(site)
        if series is None:
            series = self._series[site] = Series()
        return series

    def end_window(self) -> None:
        """An optimizer stepped."""
        window = tuple(self._window)
        self._window.clear()
        counted = self._known.get(window) or self._count(window)
        if counted is not None:
            counted[0] += 1
            counted[2] = self._observer.steps

    def _count(self, window: tuple[Event, ...]) -> list[int] | None:
        key = tuple(_compressed(window))
        counted = self._windows.get(key)
        if counted is None:
            if len(self._windows) >= MAX_WINDOWS:
                return None
            counted = self._windows[key] = [0, self._observer.steps, self._observer.steps]
        if len(self._known) < MAX_WINDOWS:
            self._known[window] = counted
        return counted

    def on_flush(self, closing: bool) -> None:
        """Everything new."""
        for site, series in list(self._series.items()):
            row = series.take()
            if row is not None:
                self._observer.write({"k": "objective", "site": site, **row})
        for number, (key, (count, first, last)) in enumerate(self._windows.items()):
            written = self._written.get(key, 0)
            if count > written and (closing or count >= written * 1.25 + 1):
                self._written[key] = count
                row = {"k": "window", "i": number, "events": [list(event) for event in key]}
                self._observer.write({**row, "count": count, "first": first, "last": last})
        if closing and self._window:
            self._observer.write({"k": "unfinished", "events": [list(e) for e in _compressed(self._window)]})


class Series:
    """A loss by step, thinned as it grows: bounded whatever the length, dense at the start."""

    def __init__(self) -> None:
        self._values: deque[Any] = deque()
        self._taken = 0
        self._stride = 1
        self._emitted = 0
        self._steps = [0, 0]  # of the first value that waits, and of the last

    def add(self, value: Any, step: int) -> None:
        """One more value."""
        if not self._values:
            self._steps[0] = step
        self._values.append(value)
        self._steps[1] = step

    def take(self) -> dict[str, Any] | None:
        """The values since the last call as one row; blocks of `stride` are averaged once the series is long."""
        whole = len(self._values) // self._stride * self._stride
        if not whole:
            return None
        taken = [self._values.popleft() for _ in range(whole)]
        values = _numbers(taken)
        row = {"first": self._taken, "stride": self._stride, "steps": list(self._steps)}
        if self._stride > 1:
            blocks = [values[i : i + self._stride] for i in range(0, whole, self._stride)]
            values = [sum(block) / len(block) for block in blocks]
            row["high"] = [max(block) for block in blocks]
        row["values"] = values
        self._emitted += len(values)
        self._taken += whole
        if self._values:
            self._steps[0] = self._steps[1] - len(self._values)
        if self._emitted >= SERIES:
            self._emitted = SERIES // 2
            self._stride *= 2
        return row


def _numbers(values: list[Any]) -> list[float]:
    """Plain numbers; tensors of one device are fetched together, so that waiting for it happens once."""
    waiting = [value for value in values if hasattr(value, "tolist")]
    if not waiting:
        return values
    import torch

    try:
        fetched = iter(torch.stack([value.reshape(()).float() for value in waiting]).tolist())
    except RuntimeError:  # of several devices
        fetched = iter([float(value) for value in waiting])
    return [next(fetched) if hasattr(value, "tolist") else value for value in values]


def _compressed(events: Iterable[Event]) -> list[Event]:
    """A run of repeats (of up to six events) is kept twice: twice says 'several times'."""
    kept: list[Event] = []
    for event in events:
        kept.append(event)
        for length in range(1, 7):
            last, before, first = kept[-length:], kept[-2 * length : -length], kept[-3 * length : -2 * length]
            if len(kept) >= 3 * length and last == before == first:
                del kept[-length:]
                break
    return kept
