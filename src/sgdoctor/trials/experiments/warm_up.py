"""Does it learn at the same learning rate once that is warmed up? Yes: only the first steps were too large."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import End, end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does it go further at the same learning rate, reached step by step?"
SHARES = (0.1, 0.3)  # of the run: what recipes take, and a patient one


def arms(record: Record) -> dict[str, Spec]:
    """One arm a length of the warm-up."""
    steps = max((optimizer.steps for optimizer in record.optimizers), default=0)
    if not trained(record) or not steps:
        return {}
    return {f"warm-up {share:g}": {"name": "lr_shape", "warmup": max(2, int(share * steps))} for share in SHARES}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The shortest warm-up that ends about as well as the best."""
    plain = end(baseline)
    ends: dict[float, End] = {}
    for share in SHARES:
        arm = arms.get(f"warm-up {share:g}")
        ended = end(arm) if arm is not None and not refusal(arm) else None
        if ended is not None and ended.finite:
            ends[share] = ended
    if plain is None or not ends:
        return EXPERIMENT.cannot(next((r for arm in arms.values() if (r := refusal(arm))), "no run could be compared"))
    best = min(ended.share for ended in ends.values())
    share = min((s for s, ended in ends.items() if ended.share <= best + 0.02), default=SHARES[0])
    chosen = ends[share]
    text = f"warmed up over {share:.0%} of the steps the loss ends at {chosen.last:.4g}, as it is at {plain.last:.4g}"
    figures: dict[str, float | str | list[float]] = {
        "warmup": share,
        "end": chosen.last,
        "own_end": plain.last,
        "share": chosen.share,
        "own_share": plain.share if plain.share == plain.share else float("inf"),
    }
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


EXPERIMENT = Experiment("warm_up", QUESTION, arms, judge, decides=("missing-warmup",))
