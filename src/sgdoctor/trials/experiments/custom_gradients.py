"""Are the derivatives of the script's own autograd functions right? Compared with finite differences in float64."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record, Row
from ...record.record import number
from .curves import refusal
from .experiment import Experiment, Spec

QUESTION = "Are the derivatives of the script's own autograd functions right?"
MIN_SMOOTH = 3  # moved inputs with a clear slope; fewer may all lie at a kink
MIN_BAD = 0.2  # share of them that must be wrong: a derivative that is wrong is so nearly everywhere


def arms(record: Record) -> dict[str, Spec]:
    """One run that looks and changes nothing; where the graph has nodes that are no operation of torch."""
    own = {name for row in record.rows("graph") for name in row.get("custom") or [] if "::" not in name}
    return {"gradcheck": {"name": "gradcheck"}} if own else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The function that is most wrong; the line of its backward."""
    arm = arms.get("gradcheck")
    if arm is None:
        return EXPERIMENT.cannot("there is no such run")
    rows = arm.rows("gradcheck")
    if not rows:
        return EXPERIMENT.cannot(refusal(arm) or "no function was captured")
    names = sorted({str(row.get("function")) for row in rows})
    wrong = [(row, entry) for row in rows for entry in row.get("of", []) if _wrong(row, entry)]
    if not wrong:
        text = f"yes, as far as {', '.join(names)} could be checked"
        return Outcome(EXPERIMENT.name, QUESTION, text, {"functions": float(len(names)), "wrong": 0.0})
    row, entry = max(wrong, key=lambda pair: number(pair[1].get("bad")) / max(1.0, number(pair[1].get("smooth"))))
    site = arm.site(row.get("site"))
    text = (
        f"no: {row.get('function')}.backward is wrong for {number(entry.get('bad')):.0f} of "
        f"{number(entry.get('smooth')):.0f} inputs that were moved, by up to {number(entry.get('error')):.0%}"
    )
    figures: dict[str, float | str | list[float]] = {
        "functions": float(len(names)),
        "wrong": float(len({str(row.get("function")) for row, _ in wrong})),
        "function": str(row.get("function")),
        "input": number(entry.get("input")),
        "inputs": [number(each.get("input")) for other, each in wrong if other is row],
        "bad": number(entry.get("bad")),
        "smooth": number(entry.get("smooth")),
        "error": number(entry.get("error")),
        "ratio": number(entry.get("ratio")),
    }
    if site is not None:
        figures.update(file=site.file, line=float(site.line), place=site.function)
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


def _wrong(row: Row, entry: Row) -> bool:
    """Not what is meant: an identity whose backward reverses or scales; a step function with a slope of its own."""
    smooth, bad = number(entry.get("smooth")), number(entry.get("bad"))
    return row.get("identity") is not True and smooth >= MIN_SMOOTH and bad >= max(2.0, MIN_BAD * smooth)


EXPERIMENT = Experiment("custom_gradients", QUESTION, arms, judge, decides=("wrong-custom-gradient",))
