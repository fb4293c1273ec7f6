"""Can one batch be memorised? Yes: the loop, the loss and the model work, and data, noise or schedule is at fault."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Can the model memorise one batch?"
FACTORS = (0.1, 10.0)  # of the script's own rate: one that is off by ten would else look like a lack of capacity
YES = 0.3  # share of the constant predictor's loss; the healthy scripts of the clinic get below it in their own steps
CLEARLY_NOT = 0.9


def arms(record: Record) -> dict[str, Spec]:
    """The first batch for ever, at the script's own rate and at ten times less and more."""
    if not trained(record):
        return {}
    found: dict[str, Spec] = {"first batch": {"name": "first_batch"}}
    if any(optimizer.steps for optimizer in record.optimizers):
        for factor in FACTORS:
            found[f"first batch, lr x {factor:g}"] = {"name": "first_batch", "factor": factor}
    return found


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """How much of one batch's loss is left, at the best of the rates."""
    reasons = [reason for arm in arms.values() if (reason := refusal(arm))]
    ends = {name: ended for name, arm in arms.items() if not refusal(arm) and (ended := end(arm)) is not None}
    if not ends:
        return EXPERIMENT.cannot(reasons[0] if reasons else "it trained too few steps")
    plain = end(baseline)
    best = min(ends, key=lambda name: ends[name].share if ends[name].finite else float("inf"))
    ended = ends[best]
    word = "yes" if ended.share < YES else "no" if ended.share > CLEARLY_NOT else "in part"
    text = f"{word}: with the {best} its loss went from {ended.first:.4g} to {ended.last:.4g} in {ended.steps} steps"
    if plain is not None:
        text += f"; on all batches it ends at {plain.last:.4g}"
    figures: dict[str, float | str | list[float]] = {
        "memorised": word,
        "share": ended.share,
        "last": ended.last,
        "steps": float(ended.steps),
        "rates": float(len(ends)),
    }
    if "first batch" in ends:
        figures["own_share"] = ends["first batch"].share
    return Outcome(EXPERIMENT.name, QUESTION, text, figures)


EXPERIMENT = Experiment(
    "memorises_one_batch", QUESTION, arms, judge, decides=("uninformative-labels", "underfitting", "noisy-labels")
)
