"""Does a loss fall, and how far: against the best constant predictor, and against permuted targets."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .record import Column, Objective, Record, Rows, number, numbers

FIRST_SHARE = 0.03  # share of a series averaged as "the first loss"
LAST_SHARE = 0.1  # share averaged as "the last loss"
LATE_SAMPLES = 0.5  # share of the sampled evaluations, from the end, that says how it stands now


class Progress:
    """One objective's learning figures. NaN means: not known."""

    def __init__(self, record: Record, objective: Objective) -> None:
        self.record = record
        self.objective = objective
        values = objective.values
        self.count = objective.count
        self.first = _mean(values[: max(1, int(len(values) * FIRST_SHARE))])
        self.last = _mean(values[-max(1, int(len(values) * LAST_SHARE)) :])
        self.nonfinite = int((~np.isfinite(values)).sum())

    @cached_property
    def call(self) -> int | None:
        """The loss-function call that the objective consists of, where it is just one; the most sampled of several."""
        calls = self.objective.calls
        return max(calls, key=lambda call: len(self.objective.losses(call))) if calls else None

    @cached_property
    def fn(self) -> str | None:
        """Name of that function."""
        return None if self.call is None else str(self.record.calls.get(self.call, {}).get("fn"))

    @cached_property
    def samples(self) -> Rows:
        """Sampled evaluations of it; all calls at its line, as the last batch of an epoch may have another shape."""
        if self.call is None:
            return Rows()
        calls = self.record.calls
        mine = calls.get(self.call, {})
        alike = [i for i, row in calls.items() if all(row.get(key) == mine.get(key) for key in ("site", "fn", "grad"))]
        rows = [row for row in self.record.rows("loss") if row.get("call") in alike]
        return Rows(sorted(rows, key=lambda row: number(row.get("n"))))

    @cached_property
    def late(self) -> Rows:
        """The later part of the samples."""
        return Rows(self.samples[int(len(self.samples) * (1 - LATE_SAMPLES)) :])

    @cached_property
    def baseline(self) -> float:
        """Loss of the best constant output, in units of the loss function; NaN where the targets never vary."""
        spread = self.samples.column("target.std")
        if len(spread) and np.nanmax(spread, initial=0.0) == 0:
            return float("nan")
        return _mean(self.late.column("constant"))

    @cached_property
    def scale(self) -> float:
        """The objective in units of its loss function: below 1 where it is divided for accumulation."""
        values = self.samples.column("value")
        first = self.objective.values[: len(values)]
        if not len(values) or not len(first) or not np.isfinite(values[0]) or values[0] == 0:
            return 1.0
        ratio = float(first[0] / values[0])
        return ratio if np.isfinite(ratio) and ratio > 0 else 1.0

    @cached_property
    def skill(self) -> float:
        """1 - loss / baseline now: 0 = no better than a constant, 1 = perfect; NaN without a baseline.

        The last tenth of all losses counts where the objective is this one call; else the late samples.
        """
        baseline = self.baseline
        if not np.isfinite(baseline) or baseline <= 1e-12:
            return np.nan
        if len(self.objective.calls) <= 1 and np.isfinite(self.last):
            return float(1 - self.last / self.scale / baseline)
        return float(1 - _mean(self.late.column("value")) / baseline)

    @cached_property
    def best_skill(self) -> float:
        """The best skill over windows of a tenth of the run."""
        baseline, values = self.baseline, self.objective.values
        if not np.isfinite(baseline) or baseline <= 1e-12 or len(values) < 5:
            return self.skill
        width = max(1, len(values) // 10)
        windows = [_mean(values[i : i + width]) for i in range(0, len(values) - width + 1, width)]
        finite = [value for value in windows if np.isfinite(value)]
        return float(1 - min(finite) / self.scale / baseline) if finite else np.nan

    @cached_property
    def gap(self) -> float:
        """(loss on permuted targets - loss) / baseline, late: 0 = the outputs say nothing about the targets."""
        late = self.late
        gaps = late.column("permuted") - late.column("value")
        baseline = self.baseline
        return _mean(gaps) / baseline if np.isfinite(baseline) and baseline > 1e-12 else np.nan

    @cached_property
    def class_shares(self) -> Column:
        """Label frequencies over all samples, one a class; empty where the loss takes no class ids."""
        counts = [numbers(row.get("counts")) for row in self.samples]
        counts = [column for column in counts if len(column)]
        if not counts or len({len(column) for column in counts}) != 1:
            return np.array([])
        total = np.sum(counts, axis=0)
        return np.asarray(total / max(1.0, float(total.sum())), dtype=np.float64)

    @cached_property
    def drop(self) -> float:
        """(first - last) / |first|: how much of the loss is gone; negative when it rose."""
        return float((self.first - self.last) / abs(self.first)) if self.first else np.nan

    @cached_property
    def trend(self) -> tuple[float, float]:
        """(slope a step, noise): least squares over the last half of the series, and the spread around it."""
        values = self.objective.values[len(self.objective.values) // 2 :]
        keep = np.isfinite(values)
        if keep.sum() < 8:
            return np.nan, np.nan
        x = np.arange(len(values))[keep].astype(float)
        y = values[keep]
        slope, intercept = np.polyfit(x, y, 1)
        return float(slope), float(np.std(y - slope * x - intercept))


def progress(record: Record) -> list[Progress]:
    """The progress of each objective, the most frequent first."""
    return [Progress(record, objective) for objective in record.objectives]


def _mean(values: Column) -> float:
    finite = values[np.isfinite(values)] if len(values) else values
    return float(finite.mean()) if len(finite) else float("nan")
