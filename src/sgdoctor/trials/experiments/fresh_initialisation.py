"""Does it learn from freshly drawn weights? Yes: the start was at fault."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Does it learn from freshly drawn weights?"
SEEDS = (1, 2)
BETTER = 0.15  # of the baseline's loss; seeds of healthy scripts in the clinic differ by less


def arms(record: Record) -> dict[str, Spec]:
    """One arm a seed."""
    return {f"weights {seed}": {"name": "fresh_init", "seed": seed} for seed in SEEDS} if trained(record) else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """The worse of the fresh starts against the script's own."""
    plain = end(baseline)
    found = [ended for arm in arms.values() if not refusal(arm) and (ended := end(arm)) is not None]
    if plain is None or not found:
        return EXPERIMENT.cannot(next((reason for arm in arms.values() if (reason := refusal(arm))), "too few steps"))
    worst = max(found, key=lambda ended: ended.share)
    better = plain.share - worst.share > BETTER
    word = "yes" if better else "no better"
    text = f"{word}: the loss ends at {worst.last:.4g}, from the script's own at {plain.last:.4g}"
    return Outcome(
        EXPERIMENT.name, QUESTION, text, {"better": float(better), "share": worst.share, "plain": plain.share}
    )


EXPERIMENT = Experiment(
    "fresh_initialisation", QUESTION, arms, judge, decides=("symmetric-init", "bad-init-scale", "dead-relu")
)
