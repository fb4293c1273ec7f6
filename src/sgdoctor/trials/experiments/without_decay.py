"""Does it learn once weight decay is taken away? Yes: the penalty outweighed the loss."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from ...record.record import number
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does it go further without weight decay?"
BETTER = 0.1  # of the baseline's loss


def arms(record: Record) -> dict[str, Spec]:
    """One arm, where some optimizer decays."""
    decays = any(number(g.get("weight_decay")) > 0 for optimizer in record.optimizers for g in optimizer.groups)
    return {"no decay": {"name": "no_decay"}} if trained(record) and decays else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    arm, plain = arms.get("no decay"), end(baseline)
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


EXPERIMENT = Experiment("without_decay", QUESTION, arms, judge, decides=("excessive-weight-decay",))
