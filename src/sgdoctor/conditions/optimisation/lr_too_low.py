"""The learning rate is so low that the run will not get anywhere in its time.

## What happens
Along a direction of curvature c the error falls by a factor of e in about 1 / (lr * c) steps; at a hundredth of the
best lr that is a hundred times the steps. Adam moves a weight by about lr a step at most: 1000 steps at 1e-6 moved no
weight by more than 0.001, against initial weights of 0.1 and more. The loss falls smoothly and almost in a straight
line, or seems flat: after 300 steps Adam at 1e-6 had gone from 0.713 to 0.712, at 1e-2 to 0.017.
It is easy to overlook because nothing looks wrong: no spikes, finite gradients, a loss going the right way. Often the
lr was copied from a fine-tuning recipe (2e-5), or cut for fear of a NaN that had another cause.

## How it is told apart
Decided on the update ratio |dw| / |w| far below 1e-4 in all layers, a steady slope with little noise, skill still low,
and on an experiment: at ten times the lr the same number of steps goes several times as far, without instability.
- `missing-step`, `misplaced-zero-grad`, `parameters-not-in-optimizer`: weights bit-identical, not slow.
- `scheduler-kills-lr`: the lr was sound and decayed; the lr trace shows it. `batch-larger-than-data`: too few steps.
- `vanishing-gradients`: early layers slow, late ones not. `unscaled-features`: a low lr was forced by one feature.
- `uninformative-labels`: a higher lr changes nothing on fresh samples. `at-the-floor`: nothing is left to gain.
Not this: warm-up steps, the tail of a decay, fine-tuning that already starts near its floor, small lr for a pre-trained
body beside a fresh head, a low update ratio because weights are large (before norm layers) while the loss goes down.

## Remedy
Raise by factors of 3 to 10 until the loss gets rough, then step back once; change only the lr.

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)     # a common start for training from scratch
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

If the run becomes unstable long before it becomes fast, the problem is conditioning: scale inputs, add norm layers, or
give slow layers a group of their own. More epochs at the same lr is the expensive way to say the same.

## Sources
- CS231n, Neural Networks part 3, https://cs231n.github.io/neural-networks-3/
  [improvement looks linear at a low lr; update-to-weight ratio near 1e-3 as a rough guide, lower: lr may be too low]
- L. N. Smith, Cyclical learning rates, https://huggingface.co/papers/1506.01186 [range test to find the lr]
- classifier-builder pull request 6, https://github.com/testdotai/classifier-builder/pull/6
  [SGD at 0.01 very slow, fine at 0.3; a user's measurement]
"""

from __future__ import annotations

import numpy as np

from ...record import Record
from ...record.steps import Steps
from ...source import Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..doubts import asks, weighed
from ..questions import fails, judged, middle, setting_site, standing, steps_of
from .lr_too_high import Rate, changed_rate, tested

ADAPTIVE_STEP = 0.01  # |change| / |weight| a step in healthy runs of the clinic with Adam
GRADIENT_STEP = 0.01  # the same with SGD, where the gradient is that of the start


def in_run(
    record: Record,
    source: Source,
    *,
    max_ratio: float = 3e-5,  # median |change| / |weight| a step; clinic: faulty up to 1e-6, healthy from 5e-4
    adaptive: float = 3.0,  # times that where gradients are divided by their size, so that none is too small a cause
    max_travel: float = 0.03,  # the same, summed over the run; clinic: faulty up to 5e-4, healthy from 0.2
    min_steps: int = 30,  # a run this short has not had the time
    good_skill: float = 0.3,  # small steps that lead somewhere are a choice; clinic: faulty up to 0.00
) -> Answer:
    """Steps are so small that the weights have hardly moved when the run ends."""
    entries = judged(record)
    if not entries:
        yield NotEvaluated("learning cannot be judged")
        return
    for entry in entries:
        if entry.count < min_steps or entry.nonfinite or not fails(entry, good_skill):
            continue
        moving = [steps for steps in steps_of(record, entry.objective) if np.nanmax(steps.ratios, initial=0.0) > 0]
        if not moving or len(moving) != len(steps_of(record, entry.objective)):
            continue
        steps = max(moving, key=lambda steps: middle(steps.ratios))
        ratio = middle(steps.ratios)
        largest = float(np.nanmax(steps.ratios, initial=0.0))
        limit = max_ratio * (adaptive if steps.optimizer and steps.optimizer.adaptive else 1)
        if ratio > limit or ratio * entry.count > max_travel or largest > 30 * max_ratio:
            continue
        rates = [rate for rate in (steps.optimizer.lr if steps.optimizer else []) if rate > 0]
        built = steps.optimizer.site if steps.optimizer else None
        written = setting_site(source, steps.optimizer, "lr", max(rates)) if steps.optimizer and rates else built
        rate = Rate(max(rates) if rates else None, _factors(steps, ratio), steps.optimizer is None, built)
        yield Finding(
            written if steps.optimizer else entry.objective.site,
            (
                Evidence(
                    f"{_named(steps, rates)} moves the weights by {ratio:.1e} of their own size a step (1e-4 to 1e-2 "
                    f"is usual): {ratio * entry.count:.1e} in all {entry.count} steps",
                    "updates",
                    ratio,
                    1e-3,
                ),
                Evidence(standing(entry), "objective", entry.last, entry.baseline),
            ),
            0.9,
            subject=rate,
        )
        return


def _named(steps: Steps, rates: list[float]) -> str:
    kind = steps.optimizer.kind if steps.optimizer else "the hand-written step"
    return f"{kind} with lr {max(rates):.3g}" if rates else kind


def _factors(steps: Steps, ratio: float) -> tuple[float, ...]:
    """Factors that bring the steps to a usual size, and those around it."""
    usual = ADAPTIVE_STEP if steps.optimizer and steps.optimizer.adaptive else GRADIENT_STEP
    factor = float(f"{min(1e6, max(10.0, usual / max(ratio, 1e-12))):.0e}")
    return (factor, factor / 10, factor * 5)


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A larger rate: one that moves the weights by a few thousandths a step."""
    return changed_rate(finding, source, "raise")


def _weigh(answer: Finding, outcome: Outcome) -> Finding | NotEvaluated:
    """A larger rate goes further; where none of those tried does, the rate is not what is wrong."""
    if outcome.figure("best") > 1:
        return tested(answer, outcome)
    return NotEvaluated(f"no larger learning rate does better: {outcome.answer}")


CONDITION = Condition(
    "lr-too-low",
    "error",
    needs=("updates", "objective", "constant_loss"),
    in_run=in_run,
    suspects=asks(in_run, "learning_rate_range"),
    in_experiment=weighed(in_run, learning_rate_range=_weigh),
    remedies=remedies,
    by_learning=True,
    explains=("uninformative-labels",),
)
