"""Does it go better in float64? Yes: the fault is rounding or overflow, not mathematics."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import better, trained
from .experiment import Experiment, Spec

QUESTION = "Does it go better in double precision?"


def arms(record: Record) -> dict[str, Spec]:
    """One arm."""
    return {"float64": {"name": "float64"}} if trained(record) else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    return better(EXPERIMENT, baseline, arms)


EXPERIMENT = Experiment(
    "double_precision", QUESTION, arms, judge, decides=("half-precision-optimizer", "nonfinite-loss")
)
