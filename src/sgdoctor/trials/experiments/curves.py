"""What the arms of an experiment are compared by: how their losses ended, and whether they stayed finite."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...conditions import Outcome
from ...record import Record, progress
from .experiment import Experiment

MIN_STEPS = 10  # an arm that was stopped earlier says nothing
# Shares of the baseline's loss. Ends of 49 healthy scripts differ over three seeds by 0.009 (median), 0.075 (95 %) and
# 0.117 (most): `bench/spread.py`.
ALIKE = 0.1
BETTER = 0.15


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


def alike(experiment: Experiment, baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Whether the changed script learns as well as the script as it is."""
    ends = _ends(experiment, baseline, arms)
    if isinstance(ends, Outcome):
        return ends
    plain, changed = ends
    same = changed.share - plain.share < ALIKE
    text = f"{'yes' if same else 'no'}: the loss ends at {changed.last:.4g} so, and at {plain.last:.4g} as it is"
    figures = {"changed": changed.share, "plain": plain.share, "alike": float(same)}
    return Outcome(experiment.name, experiment.question, text, figures)


def better(experiment: Experiment, baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Whether the changed script goes further than the script as it is; the worst of several changed ones counts."""
    ends = _ends(experiment, baseline, arms)
    if isinstance(ends, Outcome):
        return ends
    plain, changed = ends
    cured = changed.finite and not plain.finite
    further = cured or bool(np.isfinite(changed.share) and plain.share - changed.share > BETTER)
    text = f"{'yes' if further else 'no'}: the loss ends at {changed.last:.4g} so, and at {plain.last:.4g} as it is"
    figures = {"share": changed.share, "plain": plain.share, "better": float(further)}
    return Outcome(experiment.name, experiment.question, text, figures)


def _ends(experiment: Experiment, baseline: Record, arms: dict[str, Record]) -> tuple[End, End] | Outcome:
    """How the script as it is ended, and the worst of its changed runs; the outcome where there is none."""
    plain = end(baseline)
    found = [ended for arm in arms.values() if not refusal(arm) and (ended := end(arm)) is not None]
    if plain is None or not found:
        reason = next((text for arm in arms.values() if (text := refusal(arm))), "there are no two runs to compare")
        return experiment.cannot(reason)
    return plain, max(found, key=lambda ended: (not ended.finite, ended.share))
