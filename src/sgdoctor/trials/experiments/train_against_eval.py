"""Has one batch the same loss in train mode and in eval mode? No: running statistics, or dropout, stand between."""

from __future__ import annotations

import numpy as np

from ...conditions import Outcome
from ...record import Record
from .curves import refusal
from .experiment import Experiment, Spec

QUESTION = "Has one batch the same loss in train mode and in eval mode?"
LATE = 0.5  # share of the looks, from the end: running statistics need some steps to settle


def arms(record: Record) -> dict[str, Spec]:
    """One run that looks and changes nothing; where some layer cares about the mode."""
    return {"both modes": {"name": "mode_pair"}} if record.rows("mode") else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The late pairs."""
    arm = arms.get("both modes")
    if arm is None:
        return EXPERIMENT.cannot("there is no such run")
    rows = arm.rows("mode_pair")
    if not rows:
        return EXPERIMENT.cannot(refusal(arm) or "no step could be gone through again")
    late = slice(int(len(rows) * (1 - LATE)), None)
    with np.errstate(all="ignore"):
        train, tested = rows.column("train")[late], rows.column("eval")[late]
        again = rows.column("again")[late]
        ratio = float(np.median(tested / train))
    figures: dict[str, float | str | list[float]] = {
        "train": float(np.median(train)),
        "eval": float(np.median(tested)),
        "ratio": ratio,
        "steps": float(rows.column("step")[-1]),
        "restless": float(np.max(np.abs(again - tested))),
        "norms": float(rows.column("norms")[-1]),
        "drops": float(rows.column("drops")[-1]),
        "variance_ratio": float(rows.column("ratio")[-1]),
        "shift": float(rows.column("shift")[-1]),
        "momentum": float(rows.column("momentum")[-1]),
        "pairs": float(len(train)),
    }
    text = f"{figures['train']:.4g} in train mode, {figures['eval']:.4g} in eval mode"
    if figures["restless"]:
        text += "; two passes in eval mode differ"
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


EXPERIMENT = Experiment(
    "train_against_eval", QUESTION, arms, judge, decides=("batch-norm-eval-gap", "train-mode-in-eval")
)
