"""One number for how well a run ended, formed the same way for every arm of a proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..record import Record, progress
from ..record.feeds import labels
from ..record.record import Rows

LOPSIDED = 0.8  # share of one class: beyond it accuracy says little but how often that class is said
LATE = 0.25  # share of the scored calls, from the end, that count as the end of a run
WORST = -1.0  # an R2 below it is not worse: a diverged run would drown all others
MIN_LOOKS = 4  # at the labels: fewer hold too little of a rare class
CURVE_POINTS = 60


@dataclass(frozen=True)
class Metric:
    """`unit` in words; `chance`: its value for outputs that know nothing; larger is better."""

    name: str
    chance: float = 0.0


def shared(arms: Sequence[Record]) -> Metric | None:
    """The metric that all these runs can be judged by: accuracy, then R2, then the same loss; None where none is.

    Where one class is most of the labels, accuracy is the mean over the classes.
    """
    alive = [record for record in arms if record.objectives]
    if not alive:
        return None
    if all(_balanced(record) is not None for record in alive) and max(map(_majority, alive)) > LOPSIDED:
        return Metric("balanced accuracy", 1 / max(2, max(map(_classes, alive))))
    if all(_has(record, "of") for record in alive):
        return Metric("accuracy", max(_majority(record) for record in alive))
    if all(_has(record, "spread") for record in alive):
        return Metric("R2")
    if all(math.isfinite(_skill(record)) for record in alive) and len({_function(record) for record in alive}) == 1:
        return Metric("log-likelihood against a constant output")
    if len({_expression(record) for record in alive}) == 1:
        return Metric("share of the first loss that is gone")
    return None


def measured(metric: Metric, record: Record, reference: float) -> float:
    """The metric at the end of a run; chance for one that broke. `reference`: the first loss of the script as it is."""
    values = record.objectives[0].values if record.objectives else np.array([])
    tail = values[-max(1, len(values) // 10) :]
    if not len(values) or not np.isfinite(tail).all():
        return metric.chance
    if metric.name == "balanced accuracy":
        found: float | None = _balanced(record)
    elif metric.name == "accuracy":
        found = _accuracy(record)
    elif metric.name == "R2":
        found = _explained(record)
    elif metric.name.startswith("share"):
        found = float(1 - np.mean(tail) / reference) if reference else 0.0
    else:
        found = _skill(record)
    return metric.chance if found is None or not math.isfinite(found) else max(WORST, found)


def curve(record: Record) -> tuple[float, ...]:
    """The loss by step in at most CURVE_POINTS means."""
    values = record.objectives[0].values if record.objectives else np.array([])
    parts = np.array_split(values, min(len(values), CURVE_POINTS)) if len(values) else []
    return tuple(float(np.mean(part)) for part in parts)


def _late(record: Record) -> Rows:
    """The last scored calls of training."""
    rows = record.rows("score", grad=True)
    return Rows(rows[int(len(rows) * (1 - LATE)) :])


def _has(record: Record, field: str) -> bool:
    """Whether the late scores hold a field, also where the run has diverged by then."""
    return bool(np.nansum(_late(record).column(field)) > 0)


def _accuracy(record: Record) -> float | None:
    rows = _late(record)
    right, of = rows.column("right"), rows.column("of")
    total = float(np.nansum(of))
    return float(np.nansum(right)) / total if total else None


def _balanced(record: Record) -> float | None:
    """The mean of the classes' recalls over the last labels that were looked at; None where no classes were seen."""
    found = labels(record, graded=True)
    entry = record.objectives[0] if record.objectives else None
    sites = {record.calls.get(call, {}).get("site") for call in entry.calls} if entry is not None else set()
    rows = next((found[site] for site in found if site in sites and len(found[site]) >= MIN_LOOKS), None)
    if rows is None:
        return None
    late = rows.late()
    counts, hits = late.counts.sum(0), late.hits.sum(0)
    seen = counts > 0
    return float((hits[seen] / counts[seen]).mean()) if int(seen.sum()) >= 2 else None


def _explained(record: Record) -> float | None:
    rows = _late(record)
    error, spread = rows.column("error"), rows.column("spread")
    known = ~np.isnan(error) & ~np.isnan(spread)
    total = float(spread[known].sum())
    return 1 - float(error[known].sum()) / total if total > 0 else None


def _majority(record: Record) -> float:
    """The accuracy of always saying the most frequent class."""
    found = progress(record)
    shares = found[0].class_shares if found else np.array([])
    return float(shares.max()) if len(shares) else 0.5


def _classes(record: Record) -> int:
    """How many classes the labels have."""
    found = progress(record)
    return int((found[0].class_shares > 0).sum()) if found else 0


def _skill(record: Record) -> float:
    found = progress(record)
    return found[0].skill if found else math.nan


def _function(record: Record) -> str | None:
    found = progress(record)
    return found[0].fn if found else None


def _expression(record: Record) -> str:
    """The operations nearest to the loss: equal where two scripts minimise the same thing."""
    graphs = record.objectives[0].graphs
    head = graphs[0].get("head", []) if graphs else []
    return " ".join(str(entry[0]) for entry in head[:3])
