"""Does it learn as well with the targets of other samples? Yes: what it learns does not come from the pairing."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import alike, trained
from .experiment import Experiment, Spec

QUESTION = "Does it learn as well when each sample has the target of another?"


def arms(record: Record) -> dict[str, Spec]:
    """One arm."""
    return {"permuted targets": {"name": "permuted_targets"}} if trained(record) else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    return alike(EXPERIMENT, baseline, arms)


EXPERIMENT = Experiment("permuted_targets", QUESTION, arms, judge, decides=("uninformative-labels",))
