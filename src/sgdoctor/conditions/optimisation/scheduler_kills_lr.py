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
Not this: a rate that is taken down at the end of a run that has learnt what there is to learn; there a rule written by
hand counts only if most of its cuts came while the loss was falling.

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
from itertools import pairwise

import numpy as np

from ...record import Progress, Record, Site
from ...record.record import Optimizer
from ...record.schedules import Schedule, schedules
from ...source import Module, Source
from ...source.rhythm import calls_of
from ...source.schedules import compared_alike, floored, milder, once_an_epoch, with_floor
from ...source.training import Method
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged, optimizers_of, site_at, standing

CLEAR_FALL = 0.02  # of the mean loss, from one stretch between cuts to the next
MIN_CUTS = 4  # fewer stretches have no habit
KEPT = 0.1  # share of the highest rate that a mended schedule leaves: two tenfold cuts less than the fault's limit


def in_run(
    record: Record,
    source: Source,
    *,
    max_rate: float = 0.005,  # of the highest rate; a schedule of two tenfold steps ends at 0.01
    min_share: float = 0.25,  # of the steps spent below it; clinic: cosine and one-cycle up to 0.05, the fault from 0.6
    min_steps: int = 50,  # of a shorter run the end of a schedule is a large share
    good_skill: float = 0.95,  # beyond it there is nothing left to learn; clinic: the fault at 0.77
    high_skill: float = 0.99,  # the same, for a rule written by hand that cut the rate while the loss was falling
    min_wrong_cuts: float = 0.5,  # of its cuts: a rule that waits for a plateau makes next to none
) -> Answer:
    """The rate stays below a two-hundredth of its highest value for much of the run."""
    entries = judged(record)
    if not entries or not record.rows("rate"):
        yield NotEvaluated("no learning rate was seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        if entry.skill > high_skill or entry.nonfinite:
            continue
        for optimizer in optimizers_of(record, entry.objective):
            killed = _killed(optimizer, max_rate)
            if killed is None or optimizer.steps < min_steps:
                continue
            since, highest, last = killed
            share = 1 - since / optimizer.steps
            if share < min_share:
                continue
            if entry.skill > good_skill:
                by_hand = _rule(source) is not None and not _schedules(record, optimizer)
                if not by_hand or not _wrong_cuts(entry, optimizer, since) > min_wrong_cuts:
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


def _wrong_cuts(entry: Progress, optimizer: Optimizer, since: int) -> float:
    """Share of the cuts before `since` that followed a stretch whose mean loss was clearly below the one before it."""
    steps, rates = optimizer.rates
    cuts = [0.0, *(step for step, new, old in zip(steps[1:], rates[1:], rates) if new < old and step <= since)]
    at = np.cumsum(entry.objective.weights)
    means = [entry.objective.values[(at > low) & (at <= high)].mean() for low, high in pairwise(cuts)]
    falls = [new < (1 - CLEAR_FALL) * old for old, new in pairwise(means)]
    return float(np.mean(falls)) if len(falls) >= MIN_CUTS else float("nan")


def _schedules(record: Record, optimizer: Optimizer) -> list[Schedule]:
    return [each for each in schedules(record) if each.optimizer == optimizer.number and each.steps]


def _rule(source: Source) -> Site | None:
    """The test under which a script sets the rate itself, or calls its function that does; else the line that does."""
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
                return _decision(source, module, target)
    return None


def _decision(source: Source, module: Module, target: ast.expr) -> Site:
    """What decides that the rate is set: the innermost test around it or around the call that leads there; where that
    test only counts (`bad >= patience`), the one under which is counted."""
    function = module.enclosing(target, *Method)
    rule, home = module.enclosing(target, ast.If), module
    if rule is None and isinstance(function, Method):
        calls = [(at, at.enclosing(call, ast.If)) for at, call in calls_of(source, function)]
        home, rule = next(((at, test) for at, test in calls if test is not None), (module, None))
    if not isinstance(rule, ast.If):
        return site_at(module, target)
    counted = {home.segment(node) for node in ast.walk(rule.test) if isinstance(node, (ast.Name, ast.Attribute))}
    for node in home.of_kind(ast.AugAssign):
        test = home.enclosing(node, ast.If)
        counts = isinstance(node.op, ast.Add) and isinstance(node.value, ast.Constant)
        if counts and home.segment(node.target) in counted and isinstance(test, ast.If) and test is not rule:
            return site_at(home, test)
    return site_at(home, rule)


def _site(record: Record, source: Source, optimizer: Optimizer) -> Site | None:
    """The condition of a rule written by hand; where the scheduler is stepped every batch, that; else where it is made,
    with the settings that are too strong."""
    rule = _rule(source)
    if rule is not None:
        return rule
    rare = [
        each for each in _schedules(record, optimizer) if each.steps < 0.5 * optimizer.steps and each.site is not None
    ]
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
