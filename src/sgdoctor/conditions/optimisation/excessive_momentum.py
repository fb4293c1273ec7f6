"""Momentum is so high for this learning rate that the velocity runs away.

## What happens
With momentum m, steps that agree add up to 1 / (1 - m) gradients: ten at 0.9, a hundred at 0.99. A change from 0.9 to
0.99 is a tenfold learning rate for everything that lasts, and the velocity remembers a hundred steps: the loss falls,
shoots past the minimum, climbs far above where it began, swings, or overflows. The first steps look sound, since the
velocity has yet to build up. The same at 0.9 with an lr that was tuned without momentum.

## How it is told apart
Decided on how far steps that agree can carry the weights: the first step, which the velocity has not lengthened yet,
times 1 / (1 - m). Where that is about the size of the weights themselves and the run fails, or its loss comes back up
to a multiple of the best it had, momentum is the cause. A velocity kept by hand is read from the source.
- `lr-too-high`: the very first steps are too long. `missing-zero-grad`: the same swing, with stale gradients.
- `exploding-gradients`: gradients grow before the steps do. `missing-warmup`: early spikes that pass.
Not this: momentum 0.99 with a small lr that learns; Adam's betas; averaging of weights.

## Remedy
Lower one of them: momentum 0.9, or lr * (1 - 0.99) / (1 - 0.9) at the momentum as given.

    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

## Sources
- Goh, Why momentum really works, https://distill.pub/2017/momentum/
  [the range of stable rates, and how oscillation grows with momentum]
- PyTorch, SGD, https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
  [the velocity is a sum of gradients, not an average]
"""

from __future__ import annotations

import numpy as np

from ...record import Progress, Record
from ...record.record import Optimizer, number
from ...record.steps import Steps
from ...source import Source
from ...source.numbers import Literal
from ...source.rates import scale_setting, velocities
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy, Severity
from ..doubts import asks, upheld_when_better, weighed
from ..questions import fails, judged, optimizers_of, site_at, standing

USUAL = 0.9  # what torch's examples and most papers use


def in_run(
    record: Record,
    source: Source,
    *,
    min_momentum: float = 0.95,  # 0.9 is the usual value; 0.95 doubles the sum of steps that agree
    min_reach: float = 0.5,  # first |change| / |weight| over 1 - m; clinic: healthy 0.08 (m 0.9) and 0.03, faulty 1.7
    max_first: float = 0.05,  # |change| / |weight| of the first steps: a longer one is `lr-too-high` by itself
    max_skill: float = 0.1,  # a run that beats the constant output by more is not thrown about
    min_rebound: float = 2.2,  # but one whose loss came back to so many times its best is; healthy ones up to 1.7
    good_skill: float = 0.8,  # and has not learnt it after all
) -> Answer:
    """Steps that begin at a usual size, grow with the velocity, and throw the run away."""
    entries = judged(record)
    if not entries or not (record.optimizers or record.rows("free")):
        yield NotEvaluated("no optimizer belongs to an objective that can be judged")
        return
    for entry in entries:
        lost = entry.nonfinite or fails(entry, max_skill)
        if not lost and not (entry.skill < good_skill and _rebound(entry) > min_rebound):
            continue
        kept = [each for each in velocities(source) if min_momentum <= each.value < 1]
        own = None if optimizers_of(record, entry.objective) or not kept else kept[0]
        stepped: list[Optimizer | None] = [*optimizers_of(record, entry.objective)]
        for optimizer in [None] if own is not None else stepped:
            momentum = _momentum(optimizer) if optimizer is not None else own.value if own is not None else float("nan")
            ratios = Steps(record, optimizer).ratios
            known = ratios[np.isfinite(ratios)]
            if not momentum >= min_momentum or not len(known):
                continue
            first = float(known[0])
            reach = first / max(1e-9, 1 - momentum)
            if not (0 < first < max_first and reach > min_reach):
                continue
            rate = f"with lr {max(optimizer.lr, default=float('nan')):.3g} " if optimizer is not None else ""
            text = (
                f"momentum {momentum:.3g} adds up to {1 / max(1e-9, 1 - momentum):.0f} gradients: {rate}"
                f"the first step moved the weights by {first:.2g} of their size, steps that agree by {reach:.2g}"
            )
            evidence = (Evidence(text, "updates", reach, first), Evidence(standing(entry), "objective", entry.last))
            site = site_at(own.module, own.node) if own is not None else optimizer.site if optimizer else None
            severity: Severity | None = None if lost else "warning"
            yield Finding(site, evidence, 0.9, severity=severity, subject=own or momentum)
            return


def _rebound(entry: Progress) -> float:
    """How far the loss, as a mean over a twentieth of the run, came back up: over its best until then."""
    values = entry.objective.values
    width = max(1, len(values) // 20)
    means = np.convolve(values, np.ones(width) / width, "valid") if len(values) > 20 else np.array([np.nan])
    return float(np.max(means / np.minimum.accumulate(means))) if np.all(means > 0) else float("nan")


def _weigh(answer: Finding, outcome: Outcome) -> Finding | NotEvaluated:
    """The experiment takes the momentum out of the optimizer: of a velocity kept by hand it says nothing."""
    return upheld_when_better(answer, outcome) if isinstance(answer.subject, float) else answer


def _momentum(optimizer: Optimizer) -> float:
    return max((number(group.get("momentum")) for group in optimizer.groups), default=float("nan"))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The usual momentum."""
    title = "lower the momentum to 0.9, or the learning rate by as much as the momentum multiplies it"
    if isinstance(finding.subject, Literal):
        return [Remedy(title, "changes-training", (finding.subject.module.replace(finding.subject.node, str(USUAL)),))]
    site, momentum = finding.site, finding.subject
    if site is None or not isinstance(momentum, float):
        return [Remedy(title, "changes-training")]
    edits = scale_setting(source, site.file, site.line, "momentum", momentum, USUAL / momentum)
    return [Remedy(title, "changes-training", edits)]


CONDITION = Condition(
    "excessive-momentum",
    "error",
    needs=("updates", "optimizers", "objective", "constant_loss"),
    in_run=in_run,
    suspects=asks(in_run, "without_momentum"),
    in_experiment=weighed(in_run, without_momentum=_weigh),
    remedies=remedies,
    by_learning=True,
    explains=(
        "lr-too-high",
        "exploding-gradients",
        "nonfinite-loss",
        "dead-relu",
        "saturated-activations",
        "uninformative-labels",
    ),
)
