"""Momentum is so high for this learning rate that the velocity runs away.

## What happens
With momentum m, steps that agree add up to 1 / (1 - m) gradients: ten at 0.9, a hundred at 0.99. A change from 0.9 to
0.99 is a tenfold learning rate for everything that lasts, and the velocity remembers a hundred steps: the loss falls,
shoots past the minimum, climbs far above where it began, swings, or overflows. The first steps look sound, since the
velocity has yet to build up. The same at 0.9 with an lr that was tuned without momentum.

## How it is told apart
Decided on how far steps that agree can carry the weights: the first step, which the velocity has not lengthened yet,
times 1 / (1 - m). Where that is about the size of the weights themselves and the run fails, momentum is the cause.
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

from ...record import Record
from ...record.record import Optimizer, number
from ...record.steps import Steps
from ...source import Source
from ...source.rates import scale_setting
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..doubts import asks, upheld_when_better, weighed
from ..questions import fails, judged, optimizers_of, standing

USUAL = 0.9


def in_run(
    record: Record,
    source: Source,
    *,
    min_momentum: float = 0.95,  # 0.9 is the usual value; 0.95 doubles the sum of steps that agree
    min_reach: float = 0.5,  # first |change| / |weight| over 1 - m; clinic: healthy 0.08 (m 0.9) and 0.03, faulty 1.7
    max_first: float = 0.05,  # |change| / |weight| of the first steps: a longer one is `lr-too-high` by itself
    max_skill: float = 0.1,  # a run that beats the constant output by more is not thrown about
) -> Answer:
    """Steps that begin at a usual size, grow with the velocity, and throw the run away."""
    entries = judged(record)
    if not entries or not record.optimizers:
        yield NotEvaluated("no optimizer belongs to an objective that can be judged")
        return
    for entry in entries:
        if not (entry.nonfinite or fails(entry, max_skill)):
            continue
        for optimizer in optimizers_of(record, entry.objective):
            momentum = _momentum(optimizer)
            ratios = Steps(record, optimizer).ratios
            known = ratios[np.isfinite(ratios)]
            if not momentum >= min_momentum or not len(known):
                continue
            first = float(known[0])
            reach = first / max(1e-9, 1 - momentum)
            if not (0 < first < max_first and reach > min_reach):
                continue
            rate = max(optimizer.lr, default=float("nan"))
            text = (
                f"momentum {momentum:.3g} adds up to {1 / max(1e-9, 1 - momentum):.0f} gradients: with lr {rate:.3g} "
                f"the first step moved the weights by {first:.2g} of their size, steps that agree by {reach:.2g}"
            )
            evidence = (Evidence(text, "updates", reach, first), Evidence(standing(entry), "objective", entry.last))
            yield Finding(optimizer.site, evidence, 0.9, subject=momentum)
            return


def _momentum(optimizer: Optimizer) -> float:
    return max((number(group.get("momentum")) for group in optimizer.groups), default=float("nan"))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The usual momentum."""
    title = "lower the momentum to 0.9, or the learning rate by as much as the momentum multiplies it"
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
    in_experiment=weighed(in_run, without_momentum=upheld_when_better),
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
