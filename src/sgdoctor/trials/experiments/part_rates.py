"""Does it go further when one part of the network has a learning rate of its own? Yes: no single one suits all."""

from __future__ import annotations

from ...conditions import Outcome
from ...conditions.lagging import split
from ...record import Record
from .curves import End, end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does it go further when one part has a learning rate of its own?"
FACTORS = (30.0, 1000.0)  # for tensors that are orders of magnitude larger than the others


def arms(record: Record) -> dict[str, Spec]:
    """Two rates for the part that the run points at."""
    found = split(record)
    if found is None or not trained(record):
        return {}
    return {f"part x {f:g}": {"name": "part_rate", "params": list(found.params), "factor": f} for f in FACTORS}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The better of both against the script's own."""
    plain = end(baseline)
    ends: dict[float, End] = {}
    for factor in FACTORS:
        arm = arms.get(f"part x {factor:g}")
        ended = end(arm) if arm is not None and not refusal(arm) else None
        if ended is not None and ended.finite:
            ends[factor] = ended
    if plain is None or not ends:
        return EXPERIMENT.cannot(next((r for arm in arms.values() if (r := refusal(arm))), "no run could be compared"))
    best = min(ends, key=lambda factor: ends[factor].last)
    text = (
        f"at {best:g} times the rate for that part the loss ends at {ends[best].last:.4g}, as it is at {plain.last:.4g}"
    )
    figures: dict[str, float | str | list[float]] = {
        "factor": best,
        "end": ends[best].last,
        "own_end": plain.last,
        "share": ends[best].share,
        "own_share": plain.share if plain.share == plain.share else float("inf"),
    }
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


EXPERIMENT = Experiment("part_rates", QUESTION, arms, judge, decides=("single-lr-for-all",))
