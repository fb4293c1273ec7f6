"""Does it learn as well with its inputs set to zero? Yes: nothing that it learns comes from them."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import alike, trained
from .experiment import Experiment, Spec

QUESTION = "Does it learn as well when its inputs are zero?"


def arms(record: Record) -> dict[str, Spec]:
    """One arm."""
    return {"zeroed inputs": {"name": "zeroed_inputs"}} if trained(record) else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    return alike(EXPERIMENT, baseline, arms)


EXPERIMENT = Experiment("zeroed_inputs", QUESTION, arms, judge, decides=("uninformative-labels",))
