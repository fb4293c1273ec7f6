"""The learning rate is too high for the curvature of the loss.

## What happens
Along a direction of curvature c a gradient step multiplies the error by 1 - lr * c. Above lr = 2 / c it overshoots to a
higher point each time: the loss oscillates with growing swings, jumps to a plateau, or overflows to NaN. With SGD
momentum b the limit is 2 (1 + b) / c, 3.8 / c at b = 0.9. Adam's first step moves every weight by about lr whatever the
gradient, so lr = 1 replaces the initial weights at once: a toy classifier jumped from 0.71 to 22.
It is easy to overlook when it does not blow up: too large a step can leave a network in a flat, dead or saturated
region with a calm, constant loss. And it is easy to suspect wrongly: "lower the lr" is the stock answer to every NaN,
while the cause may be unscaled inputs, a broken loop or one bad operation, which a low lr only covers up.

## How it is told apart
Decided on lr times directional curvature (from successive gradients along the step) staying above its limit while the
loss rises; on the update ratio in the first steps against 1e-4 to 1e-2; and on an experiment: the same script at
lr / 10 goes down. After a divergence the ratio looks normal again, since the weights have grown: early steps count. A
first step longer than the weights themselves, with a loss that leaps to many times what it was, counts even where the
run comes back to something mediocre. The finding stands where the rate is written, if that is not where it is used.
- `unscaled-features`, `unscaled-target`: standardising mends the run at the lr as given; they lead. Where either change
  would do, both are named.
- `exploding-gradients`: spikes from depth or time at an lr sound on most steps. `missing-warmup`: sound later on.
- `missing-zero-grad`, `maximised-loss`, `sum-reduction`, `excessive-momentum`: the step is wrong, not the lr alone.
- `nonfinite-loss`: one operation is at fault; a lower lr at most delays the NaN.
Not this: a loss that rises on many single steps but falls over tens of them. Full-batch training commonly runs with
curvature near 2 / lr and does well; the best lr of a sweep (SGD, 1.0) raised the loss on 40 % of its steps.

## Remedy
Take the largest lr that is stable, found by a range test, rather than the first small one that does not crash.

    for step, lr in enumerate(np.geomspace(1e-6, 1.0, 100)):       # in a copy of the script: one step at each lr
        for group in optimizer.param_groups: group["lr"] = lr
        losses.append(train_step(batches[step]))                   # then start at about a third of where it turns up

Smaller batch than the recipe's: scale the lr down with it (linearly for SGD). Trouble only at the start: warm up.

## Sources
- Damian et al., Self-stabilization at the edge of stability, https://ar5iv.labs.arxiv.org/html/2209.15594
  [2 / lr as the classical limit; networks train at it without diverging]
- L. N. Smith, Cyclical learning rates, https://huggingface.co/papers/1506.01186
  [raise the lr over a few epochs to find its bounds]
- mmdetection issue 1710, https://github.com/open-mmlab/mmdetection/issues/1710
  [NaN at an lr scaled with the batch; a lower one helps, warm-up advised]
- timm issue 814, https://github.com/huggingface/pytorch-image-models/issues/814 [lr not scaled down with the batch]
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...record import Progress, Record, Site
from ...record.record import number
from ...record.steps import Steps
from ...source import Source
from ...source.rates import scale, scale_by_hand, written
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..doubts import asks, shown, weighed
from ..questions import judged, middle, setting_site, standing, steps_of

ADAPTIVE_STEP = 0.015  # |change| / |weight| of the first steps; healthy runs of the clinic with Adam: 0.01 to 0.03
GRADIENT_STEP = 0.05  # the same with SGD, whose steps shrink with the gradient: 0.005 to 0.1
EARLY = 8  # sampled steps, from the first, in which a far too large step shows before everything has saturated


def in_run(
    record: Record,
    source: Source,
    *,
    max_skill: float = 0.1,  # a run that beats the constant output by more is not thrown about
    min_jump: float = 0.3,  # |change| / |weight| of one early step; clinic: healthy up to 0.19, faulty from 0.7
    min_overshoot: float = 1.4,  # beyond the minimum along the step (2 is the edge); with gradients that turn round
    max_agreement: float = -0.2,  # cosine of successive gradients of a run that jumps to and fro
    min_leap: float = 6.0,  # highest early loss over the first, and over a constant output's; healthy runs up to 3.7
    far_jump: float = 1.5,  # with such a leap: all weights replaced by one step; healthy runs that leap: up to 0.6
    good_skill: float = 0.9,  # what comes back from there to more than this has lost little
) -> Answer:
    """Steps overshoot: the loss jumps, rises or is thrown away from where it could learn."""
    entries = judged(record)
    if not entries or not any(len(steps.updates) for entry in entries for steps in steps_of(record, entry.objective)):
        yield NotEvaluated("no sampled optimizer step belongs to an objective that can be judged")
        return
    for entry in entries:
        for steps in steps_of(record, entry.objective):
            if steps.optimizer is None or not len(steps.updates):
                continue
            if any(group.get("maximize") is True for group in steps.optimizer.groups):
                continue  # what rises is meant to rise
            jump = _largest(steps)
            overshoot, agreement = middle(steps.overshoot), middle(steps.agreement)
            swings = overshoot > min_overshoot and agreement < max_agreement
            thrown = jump > min_jump
            if (thrown or swings) and _bad(entry, max_skill, swings):
                yield _finding(source, entry, steps, jump, overshoot, agreement, swings)
                return
            if jump > far_jump and entry.skill < good_skill and _leap(entry) > min_leap:
                found = _finding(source, entry, steps, jump, overshoot, agreement, swings)
                text = (
                    f"in its first steps the loss leapt to {_leap(entry):.2g} times what it was: the run goes on from "
                    "weights that the initialisation has no part in"
                )
                evidence = (*found.evidence, Evidence(text, "objective", _leap(entry), 1.0))
                yield replace(found, evidence=evidence, severity="warning", confidence=0.8)
                return


def _leap(entry: Progress) -> float:
    """The highest loss of the first steps over that before them, and over the constant output's where that is more."""
    values = entry.objective.values
    early = values[: max(20, len(values) // 20)]
    start = np.nanmax([abs(values[0]), entry.baseline * entry.scale]) if len(values) else float("nan")
    return float(np.nanmax(early) / start) if start > 0 and np.isfinite(early).any() else float("nan")


def _largest(steps: Steps) -> float:
    ratios = steps.ratios[:EARLY]
    finite = ratios[np.isfinite(ratios)]
    return float(finite.max()) if len(finite) else float("nan")


def _bad(entry: Progress, max_skill: float, swings: bool) -> bool:
    """Worse than a constant, not finite, or risen; of a run that only swings more is asked than of one thrown away."""
    if entry.nonfinite:
        return True
    if np.isfinite(entry.skill):
        return entry.skill < (-0.1 if swings else max_skill)
    return bool(entry.last > 1.2 * entry.first) if entry.first > 0 else False


def _finding(
    source: Source, entry: Progress, steps: Steps, jump: float, overshoot: float, agreement: float, swings: bool
) -> Finding:
    assert steps.optimizer is not None
    rates = ", ".join(f"{rate:.3g}" for rate in sorted(set(steps.optimizer.lr)))
    evidence = [
        Evidence(
            f"with lr {rates} one {steps.optimizer.kind} step moved the weights by {jump:.2g} of their own size "
            "(1e-4 to 1e-2 is usual)",
            "updates",
            jump,
            0.01,
        ),
        Evidence(standing(entry), "objective", entry.last, entry.baseline),
    ]
    if swings:
        evidence.insert(
            0,
            Evidence(
                f"with lr {rates} a step goes {overshoot:.2g} times as far as the minimum along it, and successive "
                f"gradients point against each other (cosine {agreement:.2f})",
                "curvature",
                overshoot,
                1.0,
            ),
        )
    rate = Rate(max(steps.optimizer.lr), _factors(steps), by_hand=False, built=steps.optimizer.site)
    site = setting_site(source, steps.optimizer, "lr", max(steps.optimizer.lr))
    return Finding(site, tuple(evidence), 0.9 if jump > 1 or swings else 0.8, subject=rate)


class Rate(NamedTuple):
    """The learning rate that a run had (None: unknown), and what to multiply it with, best first."""

    value: float | None
    factors: tuple[float, ...]
    by_hand: bool  # no optimizer: `w -= lr * w.grad`
    built: Site | None = None  # where the optimizer is built; the finding stands where its rate is written


def _factors(steps: Steps) -> tuple[float, ...]:
    """Factors that bring the first steps to a usual size, and those around it."""
    assert steps.optimizer is not None
    first = middle(steps.ratios[:3])
    largest = np.nanmax([first, _largest(steps)]) if np.isfinite(first) else float("nan")
    momentum = max((number(group.get("momentum")) for group in steps.optimizer.groups), default=0.0)
    # Momentum has not gathered in the first steps: later ones are up to 1 / (1 - momentum) times as long.
    damped = min(1.0, 3 * (1 - momentum)) if 0 < momentum < 1 else 1.0
    usual = ADAPTIVE_STEP if steps.optimizer.adaptive else GRADIENT_STEP * damped
    factor = usual / float(largest) if np.isfinite(largest) and largest > 0 else 0.1
    factor = float(f"{min(0.1, max(1e-12, factor)):.0e}")
    return (factor, factor / 10, min(0.3, factor * 5))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A smaller rate."""
    return changed_rate(finding, source, "lower")


def changed_rate(finding: Finding, source: Source, verb: str) -> list[Remedy]:
    """A remedy for each factor of the rate that the finding is about."""
    rate, site = finding.subject, finding.site
    built = rate.built or site if isinstance(rate, Rate) else None
    if not isinstance(rate, Rate) or site is None or built is None:
        return [Remedy(f"{verb} the learning rate tenfold, and again", "changes-training")]
    found = []
    for factor in rate.factors:
        if rate.by_hand:
            edits = scale_by_hand(source, site.file, site.line, factor)
        else:
            edits = scale(source, built.file, built.line, rate.value, factor)
        known = f" from {rate.value:.3g} to {written(rate.value * factor)}" if rate.value else f" {factor:.3g} times"
        found.append(Remedy(f"{verb} the learning rate{known}", "changes-training", edits))
    return found


def tested(answer: Finding, outcome: Outcome) -> Finding:
    """A finding with the range test as evidence, and its best rate as the first remedy."""
    rate, best = answer.subject, outcome.figure("best")
    if isinstance(rate, Rate):
        rate = rate._replace(factors=(best, *(factor for factor in rate.factors if factor != best)))
    return replace(shown(answer, outcome, outcome.figure("best_end"), outcome.figure("own_end")), subject=rate)


def _weigh(answer: Finding, outcome: Outcome) -> Finding | NotEvaluated:
    """A smaller rate goes further; where none of those tried does, the rate is not what is wrong."""
    if outcome.figure("best") < 1:
        return tested(answer, outcome)
    return NotEvaluated(f"no smaller learning rate does better: {outcome.answer}")


CONDITION = Condition(
    "lr-too-high",
    "error",
    needs=("updates", "curvature", "objective", "constant_loss"),
    in_run=in_run,
    suspects=asks(in_run, "learning_rate_range"),
    in_experiment=weighed(in_run, learning_rate_range=_weigh),
    remedies=remedies,
    by_learning=True,
    explains=(
        "nonfinite-loss",
        "dead-relu",
        "vanishing-gradients",
        "uninformative-labels",
    ),
)
