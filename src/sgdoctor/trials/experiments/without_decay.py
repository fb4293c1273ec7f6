"""Does it learn once weight decay is taken away? Yes: the penalty outweighed the loss."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from ...record.record import number
from .curves import better, trained
from .experiment import Experiment, Spec

QUESTION = "Does it go further without weight decay?"


def arms(record: Record) -> dict[str, Spec]:
    """One arm, where some optimizer decays."""
    decays = any(number(g.get("weight_decay")) > 0 for optimizer in record.optimizers for g in optimizer.groups)
    return {"no decay": {"name": "no_decay"}} if trained(record) and decays else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    return better(EXPERIMENT, baseline, arms)


EXPERIMENT = Experiment("without_decay", QUESTION, arms, judge, decides=("excessive-weight-decay",))
