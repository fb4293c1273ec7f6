"""Is it steadier, or further, once momentum is taken away? Yes: the velocity outran the curvature."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from ...record.record import number
from .curves import better, trained
from .experiment import Experiment, Spec

QUESTION = "Does it go further without momentum?"


def arms(record: Record) -> dict[str, Spec]:
    """One arm, where some optimizer has it."""
    moves = any(
        number(g.get("momentum")) > 0 or optimizer.adaptive for optimizer in record.optimizers for g in optimizer.groups
    )
    return {"no momentum": {"name": "no_momentum"}} if trained(record) and moves else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    return better(EXPERIMENT, baseline, arms)


EXPERIMENT = Experiment("without_momentum", QUESTION, arms, judge, decides=("excessive-momentum",))
