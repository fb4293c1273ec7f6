"""Dropout as it is really run: how strong, how often, and on what."""

from __future__ import annotations

from typing import Any

MAX_PLACES = 100  # distinct (line, strength, mode) kept
MAX_RECENT = 64  # results since the last backward that are matched with the graph


class Dropouts:
    """Rows `dropout`: counted passes of each line and strength."""

    SIGNALS = ("dropouts",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._places: dict[tuple[Any, ...], list[int]] = {}
        self.waiting: list[tuple[str, int]] = []  # name and number of nodes: to hold one would hold its graph

    def on_dropout(self, frame: Any, p: float, active: bool, given: Any, result: Any) -> None:
        """A dropout function ran."""
        site = self._observer.sites.of_frame(frame)
        width = given.shape[-1] if given.dim() else 1
        key = (site, float(p), active, result.requires_grad, width)
        counts = self._places.get(key)
        if counts is None:
            if len(self._places) >= MAX_PLACES:
                return
            counts = self._places[key] = [len(self._places), 0, 0]
        counts[1] += 1
        if active and self._observer.near and len(self.waiting) < MAX_RECENT and (node := result.grad_fn) is not None:
            self.waiting.append((node.name(), node._sequence_nr()))

    def nodes(self) -> set[tuple[str, int]]:
        """Nodes that dropout made since the last backward."""
        return set(self.waiting)

    def on_backward(self) -> None:
        """A backward pass is about to begin, and has been described."""
        self.waiting.clear()

    def on_flush(self, closing: bool) -> None:
        """Counts that have grown."""
        for (site, p, active, graded, width), counts in list(self._places.items()):
            number, count, written = counts
            if count > written and (closing or count >= written * 1.2 + 1):
                counts[2] = count
                row = {"k": "dropout", "i": number, "site": site, "p": p, "active": active}
                self._observer.write({**row, "graded": graded, "width": width, "count": count})
