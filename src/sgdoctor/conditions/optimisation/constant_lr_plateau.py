"""The loss stands on a plateau that the noise of a constant learning rate holds up.

## What happens
Each step follows the gradient of a few samples, which is the true one plus noise. Near a minimum the true one fades and
the noise stays: at a constant rate the weights wander about the minimum at a distance that grows with the rate, and the
loss stays above what it could be by about a quarter of lr times the squared gradient, summed over what momentum adds.
The curve looks as if training were done. A cut of the rate, late in the run, brings it down within a few dozen steps,
as every curve with a step schedule shows.

## How it is told apart
By an experiment (`sgdoctor prove`): the same script with a tenth of its rate for the last 40 % of the steps ends well
lower. It is made where the rate never changed, the loss fell and then stood still, and is not near zero.
A run alone says so as a remark only, where the gradients of the second half turn round from step to step and are so
large that their noise accounts for a part of the loss.
- `at-the-floor`, `noisy-labels`: a cut changes nothing, what is left is in the data.
- `underfitting`: the same. `lr-too-low`: the loss still falls. `lr-too-high`: it does not get down to begin with.
- `scheduler-kills-lr`: the cut came too early.
Not this: a schedule of any kind, cyclic ones too; averaged weights; losses of adversaries; a run that still falls.

## Remedy
Decay the rate to nothing over the run, or cut it when a validation loss stands still.

    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total_steps)    # scheduler.step() each step
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1)           # .step(val_loss)

## Sources
- Chee and Toulis, Convergence diagnostics for stochastic gradient descent with constant learning rate,
  https://arxiv.org/abs/1710.06382 [a transient, then a stationary phase; successive gradients tell; halve the rate]
- Schmidt, Stochastic gradient descent, https://www.cs.ubc.ca/~schmidtm/Courses/540-W19/L11.pdf
  [a floor that is proportional to the rate and to the variance of the gradient]
- PyTorch, How to adjust learning rate, https://docs.pytorch.org/docs/stable/optim.html
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...record import Progress, Record
from ...record.record import Optimizer, number
from ...record.schedules import schedules
from ...record.steps import Steps
from ...source import Source
from ...source.optimizers import scheduled
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..questions import judged, late, middle, optimizers_of, standing

MIN_STEPS = 300  # a plateau takes its time
MIN_SKILL = 0.1  # a run that learnt nothing has another fault
MIN_LEFT = 0.06  # of the constant output's loss: below it there is nothing to gain that matters
STILL = 0.02  # of the same, lost from the third quarter of the run to the last


def in_run(
    record: Record,
    source: Source,
    *,
    min_noise: float = 0.05,  # of the constant output's loss, by lr * |gradient|^2 / 4; see the page
    max_agreement: float = 0.3,  # cosine of successive gradients: above it there is still a way down
) -> Answer:
    """A remark where the noise of the steps accounts for the plateau; else only an experiment can tell."""
    if not judged(record):
        yield NotEvaluated("learning cannot be judged")
        return
    found = plateau(record)
    if found is None:
        return
    entry, optimizer = found
    noise, agreement = _noise(entry, optimizer), middle(late(Steps(record, optimizer).agreement))
    if not (min_noise < noise < 2 * (1 - entry.skill) and agreement < max_agreement):
        yield NotEvaluated("only an experiment can tell: `sgdoctor prove`")
        return
    text = (
        f"the rate never changed, the loss stands still, and successive gradients have a cosine of {agreement:.2f}: "
        f"steps of this size hold the loss up by some {min(noise, 1 - entry.skill):.0%} of the constant output's"
    )
    evidence = (Evidence(text, "curvature", noise, 0.0), Evidence(standing(entry), "objective", entry.last))
    yield Finding(optimizer.site, evidence, 0.6, severity="info", subject=optimizer.steps)


def plateau(record: Record) -> tuple[Progress, Optimizer] | None:
    """The objective that fell and stands still above zero, and its one optimizer, whose rate never changed."""
    entries = judged(record)
    if len(entries) != 1 or schedules(record):
        return None
    entry = entries[0]
    optimizers = [each for each in optimizers_of(record, entry.objective) if each.steps]
    if len(optimizers) != 1 or entry.count < MIN_STEPS or entry.nonfinite or not np.isfinite(entry.skill):
        return None
    _, rates = optimizers[0].rates
    if not len(rates) or len(np.unique(rates)) > 1 or not MIN_SKILL < entry.skill < 1 - MIN_LEFT:
        return None
    values = entry.objective.values
    quarter = len(values) // 4
    if quarter < 5:
        return None
    fell = float(np.nanmean(values[-2 * quarter : -quarter]) - np.nanmean(values[-quarter:]))
    return (entry, optimizers[0]) if fell < STILL * entry.baseline * entry.scale else None


def _noise(entry: Progress, optimizer: Optimizer) -> float:
    """A quarter of what one step takes off the loss of its own batch, over the constant output's loss.

    Momentum adds up 1 / (1 - m) gradients, of which one is in that step.
    """
    momentum = max((number(group.get("momentum")) for group in optimizer.groups), default=float("nan"))
    rate, turns = max(optimizer.lr, default=float("nan")), optimizer.turns
    taken = -middle(late(turns.column("slope")))
    if not optimizer.adaptive:
        taken = rate / (1 - momentum if 0 < momentum < 1 else 1.0) * middle(late(turns.column("old")))
    return float(taken / 4 / (entry.baseline * entry.scale))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The rate falls to nothing over as many steps as the run took."""
    site, steps = finding.site, finding.subject
    title = "let the learning rate fall over the run: a cosine to zero"
    if site is None or not isinstance(steps, int):
        return [Remedy(title, "changes-training")]
    edits = scheduled(source, site.file, site.line, f"CosineAnnealingLR({{}}, T_max={steps})")
    return [Remedy(title, "changes-training", edits)]


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """A cut of the rate, where there is a plateau."""
    return ("rate_cut",) if plateau(record) is not None else ()


MIN_GAIN = 0.1  # of the constant output's loss, gained by the cut; eleven healthy plateaus of the clinic: up to 0.08
MIN_SHARE = 0.2  # of what the run as it is leaves


def in_experiment(record: Record, source: Source, outcomes: Mapping[str, Outcome]) -> Answer:
    """The cut took a good part of the loss away."""
    outcome, found = outcomes.get("rate_cut"), plateau(record)
    if outcome is None or not outcome.figures or found is None:
        yield from in_run(record, source)
        return
    entry, optimizer = found
    # Both against the one baseline: those of two runs differ by what was sampled.
    lost = 1 - outcome.figure("end") / outcome.figure("own_end") if outcome.figure("own_end") > 0 else float("nan")
    if not (lost > MIN_SHARE and lost * outcome.figure("own_share") > MIN_GAIN):
        yield NotEvaluated(f"a cut of the rate gains little: {outcome.answer}")
        return
    evidence = (
        Evidence(outcome.answer, None, outcome.figure("end"), outcome.figure("own_end")),
        Evidence(standing(entry), "objective", entry.last, entry.baseline),
    )
    yield Finding(optimizer.site, evidence, 0.9, subject=optimizer.steps)


CONDITION = Condition(
    "constant-lr-plateau",
    "warning",
    needs=("objective", "constant_loss", "learning_rates", "schedules", "curvature", "optimizers"),
    in_run=in_run,
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    by_learning=True,
)
