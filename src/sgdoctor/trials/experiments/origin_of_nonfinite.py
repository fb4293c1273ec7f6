"""Where is the first NaN or infinity born that does harm? A second run that looks at every operation near there."""

from __future__ import annotations

import numpy as np

from ...conditions import Outcome
from ...record import Record, Row
from ...record.record import number
from .curves import refusal
from .experiment import Experiment, Spec

QUESTION = "In which operation is the first NaN or infinity born that does harm?"
AHEAD = 2  # steps before the first loss that is not finite: a gradient can be so one step sooner
SAFE_HALF = 65504.0  # the largest number of float16
HUGE = 1e15  # inputs of an operation that overflows: values that grew over steps, not a singular point


def arms(record: Record) -> dict[str, Spec]:
    """The hunt, from shortly before the first loss that is not finite."""
    first = first_bad(record)
    return {} if first is None else {"hunt": {"name": "anomaly", "start": max(0, first - AHEAD)}}


def first_bad(record: Record) -> int | None:
    """The number of the first step whose loss is not finite."""
    found = []
    for objective in record.objectives:
        bad = ~np.isfinite(objective.values)
        if bad.any():
            found.append(int(objective.weights[: int(np.argmax(bad))].sum()))
    return min(found, default=None)


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The origin's operation, line and layer, in words."""
    arm = arms.get("hunt")
    if arm is None:
        return EXPERIMENT.cannot("there is no such run")
    rows = arm.rows("origin")
    if not rows:
        return EXPERIMENT.cannot(refusal(arm) or "everything was finite this time")
    row = rows[0]
    site = arm.site(row.get("site"))
    figures: dict[str, float | str | list[float]] = {
        "operation": operation(row),
        "phase": str(row.get("phase")),
        "kind": kind(row),
        "reached": str(row.get("reached")),
        "step": number(row.get("born_step")),
        "batch": number(row.get("born_batch")),
        "bad": number(row.get("bad")),
        "of": number(row.get("of")),
        "deliberate": float(row.get("deliberate") is True),
    }
    if isinstance(row.get("layer"), str):
        figures["layer"] = str(row["layer"])
    if site is not None:
        figures.update(file=site.file, line=float(site.line), place=site.function)
    for i, given in enumerate(row.get("inputs", [])):
        figures[f"input{i}"] = [number(given.get("min")), number(given.get("max")), number(given.get("zeros"))]
    return Outcome(EXPERIMENT.name, QUESTION, sentence(row, figures), figures)


def operation(row: Row) -> str:
    """The name a reader knows: `sqrt` of SqrtBackward0, `softmax` of _softmax."""
    node = row.get("node")
    name = str(node).partition("Backward")[0].lower() if isinstance(node, str) else str(row.get("op", "an operation"))
    return name.strip("_")


def kind(row: Row) -> str:
    """The kind of accident: what the remedy goes by."""
    phase, op, given = str(row.get("phase")), operation(row), row.get("inputs") or [{}]
    if phase in ("data", "unknown"):
        return "weight" if row.get("leaf") is True else "data" if phase == "data" else "unknown"
    zeros = number(given[-1].get("zeros")) > 0
    largest = max(max(abs(number(each.get("min"))), abs(number(each.get("max")))) for each in given)
    if row.get("dtype") == "float16" and (row.get("state") == "inf" or largest > SAFE_HALF):
        return "half-overflow"
    if op in ("log", "log2", "log10", "log1p", "logit", "xlogy"):
        return "log"
    if op in ("sqrt", "pow", "norm", "linalg_vector_norm", "std", "rsqrt", "cdist", "linalgvectornorm") and (
        phase == "backward" or zeros
    ):
        return "root"
    if op in ("div", "reciprocal", "true_divide", "div_") and zeros:
        return "division"
    if "softmax" in op and any(number(each.get("nonfinite")) > 0 for each in given):
        return "masked-row"
    if op in ("exp", "expm1", "cosh", "sinh"):
        return "exp"
    return "growth" if largest > HUGE else "other"


def sentence(row: Row, figures: dict[str, float | str | list[float]]) -> str:
    """One sentence with its numbers."""
    where = f" at {figures['file']}:{figures['line']:.0f}" if "file" in figures else ""
    layer = f" in layer {figures['layer']}" if "layer" in figures else ""
    given = row.get("inputs") or []
    ranges = " and ".join(
        f"[{number(each.get('min')):.3g}, {number(each.get('max')):.3g}]" for each in given if "min" in each
    )
    if row.get("phase") == "data":
        return f"it comes with the data{where}: {figures['bad']:.0f} of {figures['of']:.0f} values are not finite"
    if row.get("phase") == "unknown":
        return "it was there before the run was looked at"
    way = "the backward of " if row.get("phase") == "backward" else ""
    return (
        f"in {way}`{figures['operation']}`{where}{layer}, at step {figures['step']:.0f} "
        f"(batch {figures['batch']:.0f}): {figures['bad']:.0f} of {figures['of']:.0f} values, "
        f"from inputs within {ranges}"
    )


EXPERIMENT = Experiment("origin_of_nonfinite", QUESTION, arms, judge, decides=("nonfinite-loss", "nonfinite-data"))
