"""Train and eval mode, as the layers that care about it (dropout, batch norm) are really run."""

from __future__ import annotations

import weakref
from typing import Any

MAX_INNER = 2000  # layers that are passed over between two flushes
MAX_PLACES = 200  # distinct (call site, layer kind, mode, gradient) kept


class Place:
    """Forward passes from one line in one mode."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._first_call: tuple[int, int] | None = None
        self._first_owner: Any = None
        self.count = 0
        self.run = 0  # in a row, no backward between
        self.longest_run = 0
        self.backed = 0  # passes that a backward followed at once
        self.first_step = 0
        self.last_step = 0
        self.written = 0

    def begins(self, call: tuple[int, int], owner: Any) -> bool:
        """Whether the layer that `owner` is (or has) and the user calls there is the first one of a pass.

        A pass counts once, however many such layers it meets. A first layer that is gone was made for its pass only.
        """
        first = self._first_owner() if self._first_owner is not None else None
        if self._first_call is None or (first is None and self._first_owner is not None):
            self._first_call = call
            self._first_owner = None if owner is None else weakref.ref(owner)
            return True
        return call == self._first_call and owner is first


class Modes:
    """Rows `mode` (counted forward passes) and `switch` (calls of train() and eval())."""

    SIGNALS = ("modes", "mode_switches")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._places: dict[tuple[Any, ...], Place] = {}
        self._rows: dict[int, dict[str, Any]] = {}
        # Layers that were not the first of their pass, passed over for a while: the way up to the script is long.
        self._inner: set[tuple[Any, ...]] = set()
        self.waiting: list[Place] = []  # forward passes since the last backward
        self._switches: dict[tuple[Any, ...], list[int]] = {}
        self._written_switches: dict[tuple[Any, ...], int] = {}

    def on_mode_layer(self, frame: Any, kind: str, active: bool, owner: Any, trains: bool) -> None:
        """A dropout or batch-norm function ran. `trains`: its input or weight needs gradient."""
        graded = self._torch.is_grad_enabled()
        if owner is None and not self._observer.sites.is_users(frame):
            owner = frame.f_locals.get("self")  # called by a module of torch
        mark = (id(owner), kind, active, graded, trains)
        if owner is not None and mark in self._inner:
            return
        site = self._observer.sites.of_root_call(frame)
        if site is None:
            return
        call = self._observer.sites.of_user_frame(frame)
        key = (site, kind, active, graded, trains)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= MAX_PLACES:
                return
            place = self._places[key] = Place(len(self._places))
            place.first_step = self._observer.steps
            self._rows[place.number] = {
                "k": "mode",
                "i": place.number,
                "site": site,
                "layer": kind,
                "active": active,
                "graded": graded,
                "trains": trains,
                "used": True,
            }
        if not place.begins(call, owner):
            if owner is not None and len(self._inner) < MAX_INNER:
                self._inner.add(mark)
            return
        place.count += 1
        place.run += 1
        place.longest_run = max(place.longest_run, place.run)
        place.last_step = self._observer.steps
        if len(self.waiting) < 256:
            self.waiting.append(place)

    def before_backward(self) -> None:
        """What ran just before belongs to training."""
        for place in list(self._places.values()):
            place.run = 0
        for place in set(self.waiting[-8:]):
            place.backed += 1
        self.waiting.clear()

    def on_switch(self, module: Any, training: bool, site: int | None, has_parent: bool) -> None:
        """module.train(mode) was called by the script."""
        self._inner.clear()
        key = (site, training, type(module).__name__, has_parent)
        entry = self._switches.setdefault(key, [0, self._observer.steps, self._observer.steps, len(self._switches)])
        entry[0] += 1
        entry[2] = self._observer.steps

    def on_flush(self, closing: bool) -> None:
        """Counts that have grown."""
        self._inner.clear()
        for place in list(self._places.values()):
            if place.count > place.written and (closing or place.count >= place.written * 1.2 + 1):
                place.written = place.count
                self._observer.write(
                    {
                        **self._rows[place.number],
                        "count": place.count,
                        "backed": place.backed,
                        "run": place.longest_run,
                        "first": place.first_step,
                        "last": place.last_step,
                    }
                )
        for key, (count, first, last, number) in list(self._switches.items())[:MAX_PLACES]:
            written = self._written_switches.get(key, 0)
            if count > written and (closing or count >= written * 1.2 + 1):
                self._written_switches[key] = count
                site, training, name, partial = key
                row = {"k": "switch", "i": number, "site": site, "training": training, "class": name}
                self._observer.write({**row, "partial": partial, "count": count, "first": first, "last": last})
