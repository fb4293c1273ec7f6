"""Learning-rate schedulers: what they were told, how often they stepped, what they were fed and what they did."""

from __future__ import annotations

import weakref
from typing import Any

MAX_SCHEDULERS = 50
MAX_HISTORY = 400  # steps of one scheduler kept; then every other one is dropped
SETTINGS = (
    "T_max", "T_0", "total_steps", "total_iters", "step_size", "step_size_up", "step_size_down", "gamma", "factor",
    "patience", "threshold", "cooldown",
)  # fmt: skip


class Schedule:
    """One scheduler and its history."""

    def __init__(self, number: int, scheduler: Any, site: int | None, now: int) -> None:
        self.number = number
        self.reference = weakref.ref(scheduler)
        self.site = site
        self.built = now  # optimizer steps before it was made
        self.kind = type(scheduler).__name__
        self.settings: dict[str, Any] = {}
        self.mode: str | None = None
        self.milestones: list[float] = []
        self.optimizer: int | None = None
        self.steps = 0
        self.step_site: int | None = None
        self.first: int | None = None  # optimizer steps before its own first
        self.stride = 1
        self.fed: list[Any] = []
        self.rates: list[float] = []
        self.part = False  # stepped by another scheduler, or held by one
        self.written = -1

    def add(self, fed: Any, rate: float) -> None:
        """One more step."""
        if self.steps % self.stride == 0:
            self.fed.append(fed)
            self.rates.append(rate)
            if len(self.rates) >= MAX_HISTORY:
                self.fed, self.rates, self.stride = self.fed[::2], self.rates[::2], 2 * self.stride
        self.steps += 1


class Schedules:
    """Rows `schedule`, one a scheduler, again when it has stepped more."""

    SIGNALS = ("schedules",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._known: dict[int, Schedule] = {}
        self._gone: list[Schedule] = []

    def on_built(self, scheduler: Any, site: int | None) -> None:
        """A scheduler was constructed (told once for each class that it is of)."""
        known = self._of(scheduler, site)
        if known is not None:  # now, as the script may drop it before anything is written
            self._describe(known, scheduler)

    def _of(self, scheduler: Any, site: int | None = None) -> Schedule | None:
        known = self._known.get(id(scheduler))
        if known is None or known.reference() is not scheduler:
            if known is not None:
                self._gone.append(known)
            number = len(self._known) + len(self._gone)
            if number >= MAX_SCHEDULERS:
                return None
            known = self._known[id(scheduler)] = Schedule(number, scheduler, site, self._observer.steps)
        return known

    def on_step(self, scheduler: Any, site: int | None, fed: Any) -> None:
        """scheduler.step() returned."""
        known = self._of(scheduler)
        if known is None:
            return
        if known.first is None:
            known.first = self._observer.steps
            self._describe(known, scheduler)
        known.step_site = site
        groups = getattr(getattr(scheduler, "optimizer", None), "param_groups", None)
        rate = groups[0].get("lr") if groups else None
        known.add(self._number(fed), float(rate) if isinstance(rate, (int, float)) else 0.0)

    def _number(self, fed: Any) -> Any:
        if isinstance(fed, self._torch.Tensor):
            # One of a device is read when the rows are written, not now.
            return fed.detach().clone() if fed.numel() == 1 and not fed.is_complex() else None
        try:
            return None if fed is None else float(fed)
        except (TypeError, ValueError):
            return None

    def on_flush(self, closing: bool) -> None:
        """Those that are new or have stepped more."""
        for known in [*self._gone, *self._known.values()]:
            if known.steps > known.written and (closing or known.steps >= known.written * 1.25 + 1):
                known.written = known.steps
                self._write(known)

    def _describe(self, known: Schedule, scheduler: Any) -> None:
        known.kind = type(scheduler).__name__
        for name in SETTINGS:
            value = getattr(scheduler, name, None)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                known.settings[name] = float(value)
        factors = getattr(scheduler, "factors", None)  # how newer versions keep the factor of ReduceLROnPlateau
        if "factor" not in known.settings and isinstance(factors, list) and factors:
            known.settings["factor"] = float(factors[0])
        for part in getattr(scheduler, "_schedulers", None) or ():
            held = self._known.get(id(part))
            if held is not None:
                held.part = True
        mode, milestones = getattr(scheduler, "mode", None), getattr(scheduler, "milestones", None)
        known.mode = mode if isinstance(mode, str) else None
        known.milestones = [float(m) for m in sorted(milestones)][:20] if isinstance(milestones, dict) else []
        optimizer = getattr(scheduler, "optimizer", None)
        number = None if optimizer is None else self._observer.updates.number(optimizer)
        known.optimizer = number if isinstance(number, int) else None

    def _write(self, known: Schedule) -> None:
        row = {
            "k": "schedule",
            "i": known.number,
            "site": known.site,
            "class": known.kind,
            "opt": known.optimizer,
            "settings": dict(known.settings),
            "mode": known.mode,
            "milestones": list(known.milestones),
            "part": known.part,
            "built": known.built,
            "steps": known.steps,
            "step_site": known.step_site,
            "first": known.first,
            "stride": known.stride,
            "fed": list(known.fed),
            "rates": list(known.rates),
        }
        self._observer.write(row)
