"""Does another update rule, at a rate that suits it, go much further? Yes: the rule, not its rate, is what is wrong."""

from __future__ import annotations

import math

from ...conditions import Outcome
from ...record import Record
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does another update rule go further in the same steps, each at its best rate?"
RATES = {"AdamW": (1e-4, 1e-3, 1e-2), "SGD": (1e-3, 1e-2, 1e-1)}  # two decades around the usual one of each


def arms(record: Record) -> dict[str, Spec]:
    """Three rates of the other kind: adaptive for plain descent, descent with momentum for adaptive ones."""
    stepping = [optimizer for optimizer in record.optimizers if optimizer.steps]
    if not trained(record) or not stepping:
        return {}
    kind = "SGD" if stepping[0].adaptive else "AdamW"
    return {f"{kind} {rate:g}": {"name": "optimizer", "kind": kind, "lr": rate} for rate in RATES[kind]}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The best of the other rule against the script's own."""
    plain = end(baseline)
    ends = {name: ended for name, arm in arms.items() if not refusal(arm) and (ended := end(arm)) is not None}
    if plain is None or not ends:
        return EXPERIMENT.cannot("no run with another optimizer could be compared")
    best = min(ends, key=lambda name: ends[name].last)
    kind, _, rate = best.partition(" ")
    own = next((optimizer.kind for optimizer in baseline.optimizers if optimizer.steps), "the script's own")
    text = f"{kind} at {rate} ends at {ends[best].last:.4g}, {own} at {plain.last:.4g}"
    figures: dict[str, float | str | list[float]] = {
        "kind": kind,
        "own": own,
        "rate": float(rate),
        "end": ends[best].last,
        "own_end": plain.last,
        "share": ends[best].share,
        "own_share": plain.share if math.isfinite(plain.share) else float("inf"),
    }
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


EXPERIMENT = Experiment("other_optimizer", QUESTION, arms, judge, decides=("lr-too-high", "lr-too-low"))
