"""Is it steadier, or further, once momentum is taken away? Yes: the velocity outran the curvature."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from ...record.record import number
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does it go further without momentum?"
BETTER = 0.1  # of the baseline's loss


def arms(record: Record) -> dict[str, Spec]:
    """One arm, where some optimizer has it."""
    moves = any(
        number(g.get("momentum")) > 0 or optimizer.adaptive for optimizer in record.optimizers for g in optimizer.groups
    )
    return {"no momentum": {"name": "no_momentum"}} if trained(record) and moves else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    arm, plain = arms.get("no momentum"), end(baseline)
    if arm is None or plain is None:
        return EXPERIMENT.cannot("there are no two runs to compare")
    reason, ended = refusal(arm), end(arm)
    if reason or ended is None:
        return EXPERIMENT.cannot(reason or "it trained too few steps")
    better = plain.share - ended.share > BETTER
    text = f"{'yes' if better else 'no'}: the loss ends at {ended.last:.4g} without it, at {plain.last:.4g} with it"
    return Outcome(
        EXPERIMENT.name, QUESTION, text, {"better": float(better), "share": ended.share, "plain": plain.share}
    )


EXPERIMENT = Experiment("without_momentum", QUESTION, arms, judge, decides=("excessive-momentum",))
