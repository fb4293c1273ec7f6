"""The learning rate decays to nothing while there is still something to learn.

## What happens
A schedule cuts the rate so often or so early that the weights stop moving: the loss flattens, smoothly and without
noise, above what the same model reaches at the first rate. Common ways: a scheduler that is stepped once a batch with
milestones meant in epochs; a gamma that is applied every epoch; ReduceLROnPlateau fed a metric that is supposed to
rise; and a rule written by hand that compares two different things. A rule that holds the *sum* of an epoch's losses
against the *mean* of the epoch before finds "no improvement" in every epoch with more than one batch, and halves the
rate each time: after 20 epochs a millionth is left.

## How it is told apart
Decided on the trace of the rate that each optimizer step really used: the share of the run spent below 1/200 of the
highest rate. Cosine, one-cycle and linear schedules end there, for a few per cent of the run; this is a third and more.
- `lr-too-low`: the rate was too small from the first step on; nothing has cut it.
- `constant-lr-plateau`: the loss is flat although the rate is not small.
- `uninformative-labels`: the loss is flat at the constant predictor's.
Not this: a rate that is taken down at the end of a run that has learnt what there is to learn.

## Remedy
Let a scheduler do it, step it as often as its arguments are meant, and feed it one quantity:

    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=5, min_lr=1e-5)
    for epoch in range(epochs):
        ...
        scheduler.step(val_loss)         # a mean over the validation set, every epoch the same way

If the rule stays by hand: compare a mean with a mean, remember the best value and not the last, and set a lower bound.

## Sources
- SRGAN-PyTorch issue 1, https://github.com/Lornatang/SRGAN-PyTorch/issues/1
  [a scheduler stepped every batch brings the rate to almost zero; moved behind the epoch, training works]
- PyTorch tutorials pull request 640, https://github.com/pytorch/tutorials/pull/640
  [the same mistake in an official tutorial, mended]
- PyTorch, ReduceLROnPlateau,
  https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
  [mode, patience, threshold and min_lr; steps are meant in epochs]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Record, Site
from ...record.record import Optimizer
from ...record.schedules import schedules
from ...source import Source
from ...source.schedules import compared_alike, floored, milder, once_an_epoch, with_floor
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged, optimizers_of, site_at, standing

KEPT = 0.1  # share of the highest rate that a mended schedule leaves: two tenfold cuts less than the fault's limit


def in_run(
    record: Record,
    source: Source,
    *,
    max_rate: float = 0.005,  # of the highest rate; a schedule of two tenfold steps ends at 0.01
    min_share: float = 0.25,  # of the steps spent below it; clinic: cosine and one-cycle up to 0.05, the fault from 0.6
    min_steps: int = 50,  # of a shorter run the end of a schedule is a large share
    good_skill: float = 0.95,  # beyond it there is nothing left to learn; clinic: the fault at 0.77
) -> Answer:
    """The rate stays below a two-hundredth of its highest value for much of the run."""
    entries = judged(record)
    if not entries or not record.rows("rate"):
        yield NotEvaluated("no learning rate was seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        if entry.skill > good_skill or entry.nonfinite:
            continue
        for optimizer in optimizers_of(record, entry.objective):
            killed = _killed(optimizer, max_rate)
            if killed is None or optimizer.steps < min_steps:
                continue
            since, highest, last = killed
            share = 1 - since / optimizer.steps
            if share < min_share:
                continue
            yield Finding(
                _site(record, source, optimizer),
                (
                    Evidence(
                        f"the learning rate fell from {highest:.3g} to {last:.1g}; for the last {share:.0%} of it, "
                        f"from step {since} on, it was below 1/{1 / max_rate:.0f} of that",
                        "learning_rates",
                        last,
                        highest,
                    ),
                    Evidence(standing(entry), "objective", entry.last, entry.baseline),
                ),
                0.9,
                steps=(since, optimizer.steps - 1),
                subject=(highest, last),
            )
            return


def _killed(optimizer: Optimizer, max_rate: float) -> tuple[int, float, float] | None:
    """(step since which it is too small, highest rate, last rate); None where the last one seen is not too small."""
    steps, rates = optimizer.rates
    if len(rates) < 2 or not np.isfinite([*rates, *steps]).all() or not np.max(rates) > 0:
        return None
    highest = float(rates.max())
    alive = np.flatnonzero(rates >= max_rate * highest)
    if alive[-1] == len(rates) - 1:
        return None
    return int(steps[alive[-1] + 1]), highest, float(rates[-1])


def _site(record: Record, source: Source, optimizer: Optimizer) -> Site | None:
    """The condition of a rule written by hand; where the scheduler is stepped every batch, that; else where it is made,
    with the settings that are too strong."""
    for module in source:
        for node in ast.walk(module.tree):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AugAssign)
                else []
            )
            for target in targets:
                if not isinstance(target, ast.Subscript) or module.segment(target.slice).strip("'\"") != "lr":
                    continue
                rule = module.enclosing(target, ast.If)
                return site_at(module, rule if isinstance(rule, ast.If) else target)
    mine = [each for each in schedules(record) if each.optimizer == optimizer.number and each.steps]
    rare = [each for each in mine if each.steps < 0.5 * optimizer.steps and each.site is not None]
    if rare:
        return min(rare, key=lambda each: each.lowered if np.isfinite(each.lowered) else 1.0).site
    rows = record.rows("scheduler")
    return record.site(rows[0].get("site")) if rows else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A schedule that leaves something: stepped as often as it is meant, with a lower bound, or decaying less."""
    title = "step the scheduler once an epoch, or use ReduceLROnPlateau on a validation mean with a min_lr"
    highest, last = finding.subject if isinstance(finding.subject, tuple) else (None, None)
    site = finding.site
    if site is None or not isinstance(highest, float) or not isinstance(last, float):
        return [Remedy(title, "changes-training")]
    floor = KEPT * highest
    bound = floored(source, site.file, site.line, floor)
    alike = compared_alike(source, site.file, site.line)
    offers = [
        (f"compare a mean with a mean, and keep the rate at {floor:.2g} or above", [*alike, *bound] if alike else []),
        (f"keep the rate of this rule at {floor:.2g} or above", bound),
        ("step the scheduler once an epoch, behind the loop over batches", once_an_epoch(source)),
        (f"give the scheduler a lower bound of {floor:.2g}", with_floor(source, floor)),
        (f"let the schedule end at {floor:.2g} instead of {last:.1g}", milder(source, last / highest, KEPT)),
    ]
    found = [Remedy(words, "changes-training", tuple(edits)) for words, edits in offers if edits]
    return found or [Remedy(title, "changes-training")]


CONDITION = Condition(
    "scheduler-kills-lr",
    "warning",
    needs=("learning_rates", "schedules", "objective", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    by_learning=True,
    explains=("lr-too-low", "uninformative-labels"),
)
