"""Does it learn from freshly drawn weights? Yes: the start was at fault."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import better, trained
from .experiment import Experiment, Spec

QUESTION = "Does it learn from freshly drawn weights?"
SEEDS = (1, 2)


def arms(record: Record) -> dict[str, Spec]:
    """One arm a seed."""
    return {f"weights {seed}": {"name": "fresh_init", "seed": seed} for seed in SEEDS} if trained(record) else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Compare what is left of both losses."""
    return better(EXPERIMENT, baseline, arms)


EXPERIMENT = Experiment(
    "fresh_initialisation", QUESTION, arms, judge, decides=("symmetric-init", "bad-init-scale", "dead-relu")
)
