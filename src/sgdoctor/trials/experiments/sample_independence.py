"""Does what comes out for one sample depend on the others? And what comes out at one time step on later ones?"""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record, Row
from ...record.record import number
from .curves import refusal
from .experiment import Experiment, Spec

QUESTION = "Does the output for one sample depend on other samples, or on later time steps?"
LEAK = 1e-4  # share of the gradient; float32 leaves exact zeros where there is no path


def arms(record: Record) -> dict[str, Spec]:
    """One run that looks and changes nothing."""
    return {"independence": {"name": "sample_independence"}} if record.steps else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """Shares of influence in eval mode along the axis of samples, and along the other."""
    arm = arms.get("independence")
    if arm is None:
        return EXPERIMENT.cannot("there is no such run")
    rows = [row for row in arm.rows("independence") if row.get("of")]
    if not rows:
        return EXPERIMENT.cannot(refusal(arm) or "no step could be gone through again")
    row = rows[-1]
    axis = sample_axis(arm, row)
    across = influence(row, axis, False) if axis is not None else None
    training = influence(row, axis, True) if axis is not None else None
    along = influence(row, 1 - axis, False) if axis is not None else None
    figures: dict[str, float | str | list[float]] = {
        "axis": float(-1 if axis is None else axis),
        "inputs": number(row.get("inputs")),
        "alike": float(row.get("alike") is True),
        "varies": float(any(each.get("varies") for each in rows)),
    }
    if axis is None or across is None:
        return Outcome(EXPERIMENT.name, QUESTION, "which axis holds the samples is not clear", figures)
    mixed = 1 - number(across.get("own"))
    figures["others"] = mixed
    figures["earlier_samples"], figures["later_samples"] = number(across.get("earlier")), number(across.get("later"))
    if training is not None:
        figures["others_training"] = 1 - number(training.get("own"))
    if along is not None:
        figures["later"] = number(along.get("later"))
        figures["earlier"] = number(along.get("earlier"))
    text = (
        f"{mixed:.0%} of what an output depends on are other samples of the batch"
        if mixed > LEAK
        else "no output depends on another sample"
    )
    if along is not None:
        text += f"; along the other axis {number(along.get('later')):.0%} comes from later places"
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


def influence(row: Row, axis: int, training: bool) -> Row | None:
    """What was measured along an axis in a mode."""
    for entry in row.get("of", []):
        if entry.get("axis") == axis and entry.get("training") is training:
            found: Row = entry
            return found
    return None


def sample_axis(record: Record, row: Row) -> int | None:
    """The axis of the input whose length is that of the targets, where only one has it; else that of the loader."""
    shape = row.get("input") or []
    target = row.get("target") or []
    lengths = shape[:2]
    if len(lengths) < 2 or lengths[0] == lengths[1]:
        return 0 if len(shape) == 2 and row.get("whole") is False else None
    loaders = {entry.get("batch_size") for entry in record.rows("loader")}
    for wanted in ({target[0]} if target else set(), loaders):
        fitting = [axis for axis, length in enumerate(lengths) if length in wanted]
        if len(fitting) == 1:
            return fitting[0]
    return None


EXPERIMENT = Experiment("sample_independence", QUESTION, arms, judge, decides=("batch-mixing", "target-leak"))
