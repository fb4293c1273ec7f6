"""Learning-rate schedulers of a run: what they were told, how often they stepped, what they were fed."""

from __future__ import annotations

import numpy as np

from .record import Column, Record, Row, Site, number, numbers


class Schedule:
    """One scheduler."""

    def __init__(self, record: Record, row: Row) -> None:
        self.kind: str = row.get("class", "")
        self.site: Site | None = record.site(row.get("site"))
        self.step_site: Site | None = record.site(row.get("step_site"))
        self.optimizer: int | None = row.get("opt")
        self.settings: dict[str, float] = {k: number(v) for k, v in row.get("settings", {}).items()}
        self.mode: str | None = row.get("mode")
        self.part: bool = bool(row.get("part"))
        self.steps: int = row.get("steps", 0)
        self.first: int | None = row.get("first")
        self.fed: Column = numbers(row.get("fed"))
        self.rates: Column = numbers(row.get("rates"))

    @property
    def plateau(self) -> bool:
        """Whether it lowers the rate when what it is fed stands still."""
        return "Plateau" in self.kind

    @property
    def lowered(self) -> float:
        """The last rate over the highest; NaN where it never stepped."""
        highest = float(np.max(self.rates, initial=0.0))
        return float(self.rates[-1]) / highest if highest > 0 else float("nan")

    @property
    def trend(self) -> float:
        """Rank correlation of what it was fed with time: 1 where it rises all the way; NaN where it is not known."""
        known = self.fed[np.isfinite(self.fed)]
        if len(known) < 4 or np.ptp(known) == 0:
            return float("nan")
        ranks = np.unique(known, return_inverse=True)[1]  # equal values share one
        return float(np.corrcoef(np.arange(len(known)), ranks)[0, 1])


def schedules(record: Record) -> list[Schedule]:
    """All schedulers, in the order they were built."""
    latest = {row.get("i"): row for row in record.rows("schedule")}
    return [Schedule(record, row) for row in latest.values()]
