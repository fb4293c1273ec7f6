"""Does a learning rate cut late in the run bring the loss down further? Yes: its noise held the loss up."""

from __future__ import annotations

import math

from ...conditions import Outcome
from ...record import Record
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does the loss go down further once the learning rate is cut?"
CUT = 0.6  # share of the steps taken at the script's own rate
FACTOR = 0.1


def arms(record: Record) -> dict[str, Spec]:
    """One arm: a tenth of the rate for the rest of the run."""
    steps = max((optimizer.steps for optimizer in record.optimizers), default=0)
    if not trained(record) or not steps:
        return {}
    return {"cut": {"name": "lr_shape", "cut": int(CUT * steps), "factor": FACTOR}}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The end of both runs."""
    arm, plain = arms.get("cut"), end(baseline)
    if arm is None or plain is None:
        return EXPERIMENT.cannot("there are no two runs to compare")
    reason, ended = refusal(arm), end(arm)
    if reason or ended is None:
        return EXPERIMENT.cannot(reason or "it trained too few steps")
    if not ended.finite or not math.isfinite(plain.share):
        return EXPERIMENT.cannot("a loss is not finite")
    text = (
        f"with a tenth of the rate after {CUT:.0%} of the steps the loss ends at {ended.last:.4g}, at the constant "
        f"rate at {plain.last:.4g}"
    )
    figures: dict[str, float | str | list[float]] = {
        "end": ended.last,
        "own_end": plain.last,
        "share": ended.share,
        "own_share": plain.share,
    }
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


EXPERIMENT = Experiment("rate_cut", QUESTION, arms, judge, decides=("constant-lr-plateau",))
