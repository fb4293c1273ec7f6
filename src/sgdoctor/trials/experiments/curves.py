"""What the arms of an experiment are compared by: how their losses ended, and whether they stayed finite."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...record import Record, progress

MIN_STEPS = 10  # an arm that was stopped earlier says nothing


class End(NamedTuple):
    """How one run's main loss went. `share`: what is left of it, of the best constant output's where that is known."""

    steps: int
    first: float
    last: float
    share: float
    finite: bool


def end(record: Record) -> End | None:
    """How a run ended; None where it trained too little, or did not do what it was asked to."""
    entries = [entry for entry in progress(record) if entry.count >= MIN_STEPS]
    if not entries:
        return None
    entry = entries[0]
    scale = entry.baseline * entry.scale if np.isfinite(entry.baseline) and entry.baseline > 0 else abs(entry.first)
    last = entry.last if np.isfinite(entry.objective.values[-1:]).all() else float("inf")
    share = float(last / scale) if scale > 0 else float("nan")
    return End(entry.count, entry.first, last, share, entry.nonfinite == 0)


def refusal(record: Record) -> str:
    """Why an arm did not do what was asked of it, empty where it did."""
    rows = record.rows("intervention")
    if rows and rows[-1].get("possible") is False:
        return str(rows[-1].get("reason") or "the change is not possible in this script")
    if record.exception is not None:
        return f"the changed script raised {record.exception.get('type')}"
    return ""


def trained(record: Record) -> bool:
    """Whether there is anything to compare with."""
    return any(objective.count >= MIN_STEPS for objective in record.objectives)
