"""Which learning rates are stable, and which goes furthest in the same steps? The script's own times 1e-3 to 1e2."""

from __future__ import annotations

import math

from ...conditions import Outcome
from ...record import Record
from .curves import End, end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Which learning rate is the largest stable one, and which learns most?"
FACTORS = (1e-3, 1e-2, 1e-1, 1e1, 1e2)  # 1 is the baseline
THROWN = 1.5  # end over start of a loss that was thrown away rather than noisy


def arms(record: Record) -> dict[str, Spec]:
    """One arm a factor; none where no optimizer steps."""
    if not trained(record) or not any(optimizer.steps for optimizer in record.optimizers):
        return {}
    return {f"lr x {factor:g}": {"name": "lr", "factor": factor} for factor in FACTORS}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The best factor, and the largest below which all are stable."""
    runs = {1.0: baseline, **{factor: arms[f"lr x {factor:g}"] for factor in FACTORS if f"lr x {factor:g}" in arms}}
    ends: dict[float, End] = {}
    for factor, record in sorted(runs.items()):
        ended = end(record)
        if ended is not None and (factor == 1.0 or not refusal(record)):
            ends[factor] = ended
    if len(ends) < 3 or 1.0 not in ends:
        return EXPERIMENT.cannot("fewer than three rates could be compared")
    stable = [factor for factor, ended in ends.items() if _stable(ended)]
    rate = max((lr for optimizer in baseline.optimizers for lr in optimizer.lr if lr == lr), default=float("nan"))
    best = min(stable or list(ends), key=lambda factor: ends[factor].last)
    largest = max(stable, default=float("nan"))
    text = f"at {rate * best:.3g} ({best:g} times the script's) the loss ends at {ends[best].last:.4g}, "
    text += f"at the script's {rate:.3g} at {ends[1.0].last:.4g}; the largest stable rate tried is {rate * largest:.3g}"
    figures: dict[str, float | str | list[float]] = {
        "factors": [float(factor) for factor in ends],
        "ends": [ended.last if math.isfinite(ended.last) else float("inf") for ended in ends.values()],
        "rate": rate,
        "best": best,
        "best_rate": rate * best,
        "best_end": ends[best].last,
        "best_share": ends[best].share,
        "own_end": ends[1.0].last,
        "own_share": ends[1.0].share,
        "largest": largest,
        "largest_rate": rate * largest,
        "own_stable": float(1.0 in stable),
    }
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


def _stable(ended: End) -> bool:
    """Finite to the end, and not thrown above where it began (losses below zero are compared as they are)."""
    if not ended.finite or not math.isfinite(ended.last):
        return False
    return ended.last <= THROWN * ended.first if ended.first > 0 else True


EXPERIMENT = Experiment(
    "learning_rate_range",
    QUESTION,
    arms,
    judge,
    decides=("lr-too-high", "lr-too-low", "underfitting"),
)
