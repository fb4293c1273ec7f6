"""What the arms of a proof show: by the metric, by the fault's own absence, or nothing, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..conditions import Condition
from ..diagnosis import Diagnosis
from ..diagnosis.diagnosis import MIN_STEPS
from ..diagnosis.proof import Proof
from ..record import Record
from ..record.record import numbers
from .metric import Metric, curve, measured, shared
from .statistics import CLEAR_EFFECT, compare

UNLIKE = 2.0  # steps that differ by more in size than this are not alike
WORSE = 0.25  # a repair of a correctness fault may cost this much of the metric in a short run, not more


@dataclass(frozen=True)
class Arms:
    """Records of the same seeds: as it is, changed, and with a change that changes nothing. `base`: the first run."""

    base: Record
    baseline: tuple[Record, ...] = ()
    treated: tuple[Record, ...] = ()
    placebo: tuple[Record, ...] = ()

    @property
    def steps(self) -> int:
        """Optimizer steps of the longest arm."""
        return max((record.steps for record in (*self.baseline, *self.treated)), default=0)

    @property
    def reference(self) -> float:
        """The first loss of the script as it is."""
        values = self.base.objectives[0].values if self.base.objectives else np.array([])
        finite = values[np.isfinite(values)]
        return float(finite[0]) if len(finite) else 0.0

    def standing(self, record: Record) -> float:
        """How well one more run ended, to rank candidates."""
        metric = shared([self.base, record]) or shared([record])
        return measured(metric, record, self.reference) if metric is not None else 0.0


def repeats(arms: Arms) -> bool:
    """Whether the same seed gave the same losses twice."""
    if not arms.baseline or not arms.base.objectives or not arms.baseline[0].objectives:
        return True  # nothing to compare: it crashed before its first loss
    first, again = arms.base.objectives[0].values, arms.baseline[0].objectives[0].values
    count = min(len(first), len(again))
    return bool(np.array_equal(first[:count], again[:count], equal_nan=True))


def broken(record: Record) -> bool:
    """Whether a run raised, or lost its loss to NaN."""
    if record.exception is not None or not record.rows("start"):
        return True
    values = record.objectives[0].values if record.objectives else np.array([])
    return bool(len(values)) and not np.isfinite(values[-max(1, len(values) // 10) :]).all()


def step_size(record: Record) -> float:
    """Median of |change| / |weight| over the sampled steps, all parameters together; NaN where none was sampled."""
    ratios = []
    for row in record.rows("update"):
        weight, change = (float(np.sqrt(np.nansum(numbers(row.get(k)) ** 2))) for k in ("weight", "change"))
        if weight > 0 and change > 0:
            ratios.append(change / weight)
    return float(np.median(ratios)) if ratios else float("nan")


def matching_factor(arms: Arms) -> float | None:
    """What the rate of the script as it is has to be multiplied by to take steps as large as the changed one's.

    None where they are alike, cannot be compared, or the change was one of the rate itself.
    """
    if not arms.baseline or not arms.treated:
        return None
    rates = [[entry.lr for entry in arm[0].optimizers] for arm in (arms.baseline, arms.treated)]
    ratio = step_size(arms.treated[0]) / step_size(arms.baseline[0])
    if rates[0] != rates[1] or not rates[0] or not np.isfinite(ratio) or 1 / UNLIKE < ratio < UNLIKE:
        return None
    return float(ratio)


def controlled(proof: Proof, arms: Arms, control: tuple[Record, ...], factor: float) -> Proof:
    """A proof weighed against the script as it is at the rate that matches: is it more than another step size?"""
    metric = shared([*arms.baseline, *arms.treated])
    if metric is None or any(record.exception is not None for record in control):
        return proof
    matched, treated = ([measured(metric, record, arms.reference) for record in arm] for arm in (control, arms.treated))
    words = f"the script as it is at {factor:.2g} times its rate, with steps as large, gives {np.mean(matched):.3g}"
    if compare(matched, treated).effect >= CLEAR_EFFECT:
        return replace(proof, reason=f"{proof.reason}; {words}")
    return replace(proof, verdict="helps", reason=f"{proof.reason}; but {words}: the size of the step does it")


def judge(arms: Arms, condition: Condition, diagnosis: Callable[[Record], Diagnosis]) -> Proof:
    """The proof of one change against one condition. `diagnosis` says what a record shows."""
    if any(record.exception is not None for record in arms.treated) or not any(r.steps for r in arms.treated):
        errors = [str(record.exception.get("type")) for record in arms.treated if record.exception]
        reason = f"the changed script raised {errors[0]}" if errors else "the changed script took no step"
        return _proof(arms, "worse" if not _raises(arms) else "no-effect", reason, "runs to its end")
    if _raises(arms):
        return _runs(arms, condition, diagnosis)
    metric = shared([*arms.baseline, *arms.treated])
    found = None if metric is None else _measured(arms, metric)
    if found is not None and found.verdict == "proven":
        return found
    if condition.by_invariant:
        absent = _absent(arms, condition, diagnosis, found)
        if absent is not None:
            return absent
    if found is not None:
        return found
    return _proof(arms, "not-testable", "the two arms have no figure in common that could judge them", "none")


def _measured(arms: Arms, metric: Metric) -> Proof:
    """By the metric."""
    baseline, treated, placebo = (
        tuple(measured(metric, record, arms.reference) for record in arm)
        for arm in (arms.baseline, arms.treated, arms.placebo)
    )
    result = compare(baseline, treated, placebo)
    before, after = float(np.mean(baseline)), float(np.mean(treated))
    reason = f"{metric.name} {before:.3g} -> {after:.3g} over {len(treated)} seeds"
    if len(placebo):
        reason += f"; a placebo gives {float(np.mean(placebo)):.3g}"
    proof = _proof(arms, result.verdict, reason, metric.name, baseline, treated)
    return Proof(**{**vars(proof), "effect": result.effect, "interval": result.interval, "p": result.p})


def _raises(arms: Arms) -> bool:
    """Whether the script as it is ends in an exception, whatever the seed."""
    return bool(arms.baseline) and all(record.exception is not None for record in arms.baseline)


def _runs(arms: Arms, condition: Condition, diagnosis: Callable[[Record], Diagnosis]) -> Proof:
    """A script that raised now runs to its end, and trains."""
    count = len(arms.treated)
    trains = all(record.steps >= MIN_STEPS and not broken(record) for record in arms.treated)
    gone = all(condition.id not in _ids(diagnosis(record)) for record in arms.treated)
    error = arms.baseline[0].exception or {}
    reason = f"before: {error.get('type')} under each of {count} seeds; after: {arms.steps} steps without it"
    verdict = "proven" if trains and gone else "helps"
    return _certain(arms, verdict, reason, "runs to its end")


def _absent(
    arms: Arms, condition: Condition, diagnosis: Callable[[Record], Diagnosis], found: Proof | None
) -> Proof | None:
    """A correctness fault is judged by its own invariant: there before, gone after, and nothing new in its place."""
    before = [_ids(diagnosis(record)) for record in arms.baseline]
    after = [_ids(diagnosis(record)) for record in arms.treated]
    if not all(condition.id in ids for ids in before) or any(condition.id in ids for ids in after):
        return None
    if condition.flatters:  # what the fault hid, how little there is to learn, is no harm of the change
        after = [_ids(diagnosis(record), learnt=False) for record in arms.treated]
    if any(new - old for old, new in zip(before, after)) or any(broken(record) for record in arms.treated):
        return None
    worse = found is not None and found.verdict == "worse" and (found.effect or 0.0) < -WORSE
    if worse and not condition.flatters:
        return None
    reason = f"{condition.id} holds under each of {len(before)} seeds before, and under none after"
    if found is not None:
        reason += f" (the curve is no judge of it: {found.reason})"
    return _certain(arms, "proven", reason, f"{condition.id} is gone")


def _ids(diagnosis: Diagnosis, learnt: bool = True) -> set[str]:
    """The conditions that are named; `learnt`: those that are judged by learning as well."""
    found = [placed.condition for placed in diagnosis.findings if placed.severity != "info"]
    return {each.id for each in found if learnt or each.by_invariant}


def _certain(arms: Arms, verdict: str, reason: str, metric: str) -> Proof:
    """Of something that holds or does not: 0 and 1."""
    count = len(arms.treated)
    nothing, all_ = (0.0,) * count, (1.0,) * count
    proof = _proof(arms, verdict, reason, metric, nothing, all_)
    # Under no effect each outcome is as likely as the other: the sign test.
    return Proof(**{**vars(proof), "effect": 1.0, "interval": (1.0, 1.0), "p": 0.5**count})


def _proof(
    arms: Arms,
    verdict: str,
    reason: str,
    metric: str,
    baseline: tuple[float, ...] = (),
    treated: tuple[float, ...] = (),
) -> Proof:
    before = curve(arms.baseline[0]) if arms.baseline else ()
    after = curve(arms.treated[0]) if arms.treated else ()
    seeds = len(arms.treated)
    return Proof(verdict, reason, metric, baseline, treated, steps=arms.steps, seeds=seeds, curves=(before, after))  # type: ignore[arg-type]
