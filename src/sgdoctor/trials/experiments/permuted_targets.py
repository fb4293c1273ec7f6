"""Does it learn as well with the targets of other samples? Yes: what it learns does not come from the pairing."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does it learn as well when each sample has the target of another?"
ALIKE = 0.05  # of the baseline's loss: the spread between seeds of the healthy scripts in the clinic


def arms(record: Record) -> dict[str, Spec]:
    """One arm."""
    return {"permuted targets": {"name": "permuted_targets"}} if trained(record) else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    arm, plain = arms.get("permuted targets"), end(baseline)
    if arm is None or plain is None:
        return EXPERIMENT.cannot("there are no two runs to compare")
    reason, ended = refusal(arm), end(arm)
    if reason or ended is None:
        return EXPERIMENT.cannot(reason or "it trained too few steps")
    alike = ended.share - plain.share < ALIKE
    text = f"{'yes' if alike else 'no'}: the loss ends at {ended.last:.4g} so, and at {plain.last:.4g} as it is"
    return Outcome(
        EXPERIMENT.name, QUESTION, text, {"permuted": ended.share, "plain": plain.share, "alike": float(alike)}
    )


EXPERIMENT = Experiment("permuted_targets", QUESTION, arms, judge, decides=("uninformative-labels",))
