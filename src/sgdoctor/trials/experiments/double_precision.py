"""Does it go better in float64? Yes: the fault is rounding or overflow, not mathematics."""

from __future__ import annotations

import math

from ...conditions import Outcome
from ...record import Record
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does it go better in double precision?"
BETTER = 0.1  # of the baseline's loss; rounding alone moves the ends of healthy runs by less


def arms(record: Record) -> dict[str, Spec]:
    """One arm."""
    return {"float64": {"name": "float64"}} if trained(record) else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses, and whether they stay finite."""
    arm, plain = arms.get("float64"), end(baseline)
    if arm is None or plain is None:
        return EXPERIMENT.cannot("there are no two runs to compare")
    reason, ended = refusal(arm), end(arm)
    if reason or ended is None:
        return EXPERIMENT.cannot(reason or "it trained too few steps")
    cured = ended.finite and not plain.finite
    better = cured or (math.isfinite(ended.share) and plain.share - ended.share > BETTER)
    text = f"{'yes' if better else 'no'}: the loss ends at {ended.last:.4g} in float64, at {plain.last:.4g} as it is"
    return Outcome(
        EXPERIMENT.name, QUESTION, text, {"better": float(better), "share": ended.share, "plain": plain.share}
    )


EXPERIMENT = Experiment(
    "double_precision", QUESTION, arms, judge, decides=("half-precision-optimizer", "nonfinite-loss")
)
