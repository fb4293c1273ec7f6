"""Can one batch be memorised? Yes: the loop, the loss and the model work, and data, noise or schedule is at fault."""

from __future__ import annotations

from ...conditions import Outcome
from ...record import Record
from .curves import end, refusal, trained
from .experiment import Experiment, Spec

QUESTION = "Can the model memorise one batch?"
YES = 0.3  # share of the constant predictor's loss; random labels leave 0.9 and more, see docs of the seeds
CLEARLY_NOT = 0.7


def arms(record: Record) -> dict[str, Spec]:
    """The first batch for ever."""
    return {"first batch": {"name": "first_batch"}} if trained(record) else {}


def judge(baseline: Record, arms: dict[str, Record]) -> Outcome:
    """How much of one batch's loss is left."""
    arm = arms.get("first batch")
    if arm is None:
        return EXPERIMENT.cannot("there is no such run")
    reason, ended, plain = refusal(arm), end(arm), end(baseline)
    if reason or ended is None:
        return EXPERIMENT.cannot(reason or "it trained too few steps")
    word = "yes" if ended.share < YES else "no" if ended.share > CLEARLY_NOT else "in part"
    text = f"{word}: its loss went from {ended.first:.4g} to {ended.last:.4g} in {ended.steps} steps"
    if plain is not None:
        text += f"; on all batches it ends at {plain.last:.4g}"
    figures: dict[str, float | str | list[float]] = {"memorised": word, "share": ended.share, "last": ended.last}
    return Outcome(EXPERIMENT.name, QUESTION, text, {**figures, "steps": float(ended.steps)})


EXPERIMENT = Experiment(
    "memorises_one_batch", QUESTION, arms, judge, decides=("uninformative-labels", "underfitting", "noisy-labels")
)
