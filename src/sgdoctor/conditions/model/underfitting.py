"""The model is too small: it cannot even memorise one batch.

## What happens
The loss stops well above its floor, in training as in validation, and neither more epochs nor another learning rate
move it. A linear model on a problem that is not linear (XOR, circles, a product of inputs), a hidden layer of two
units, a code of one number in between. The model has said what it can. It is easy to take for bad labels or a bad
optimizer, as the curve looks the same.

## How it is told apart
By an experiment (`sgdoctor prove`): the first batch alone, for as many steps as the run has, at the script's learning
rate and at ten times less and more. Where the loss hardly falls at any of them, and the narrowest place between
input and output is a few units wide (or there is no hidden layer at all), it is capacity.
- `uninformative-labels`: one batch is memorised by a model of some width. `lr-too-low`, `lr-too-high`: another
  rate does.
- `vanishing-gradients`, `dead-relu`, `missing-step`: wide enough, but gradients do not arrive or do nothing.
- `restrictive-output`: the last activation cannot reach the targets. `missing-nonlinearity`: deep, yet linear.
Not this: a linear model that does well, a strong bottleneck that is meant (an autoencoder whose loss falls).

## Remedy
More width first, then depth; a non-linearity between layers. A model that can memorise the batch can still be held
back later by weight decay, dropout or early stopping.

    nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))    # not nn.Linear(2, 2)

## Sources
- Karpathy, A Recipe for Training Neural Networks, https://karpathy.github.io/2019/04/25/recipe/
  [overfit one batch: the lowest loss must be reachable]
- Zhang et al., Understanding deep learning requires rethinking generalization, https://arxiv.org/abs/1611.03530
  [networks of usual size fit even random labels]
- Deep Learning Tuning Playbook, https://github.com/google-research/tuning_playbook [when to make a model larger]
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...record import Progress, Record
from ...source import Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..questions import judged, layer_name, layer_site, loss_site, standing

MIN_STEPS = 60  # fewer steps may be a slow start
NARROW = 4  # units; a place as narrow as that holds a few bits of a batch


def in_run(record: Record, source: Source) -> Answer:
    """A run shows a loss that stands still and a narrow model, not whether the one is due to the other."""
    if not judged(record):
        yield NotEvaluated("learning cannot be judged")
    elif suspects(record, source):
        yield NotEvaluated("only an experiment can tell: `sgdoctor prove`")


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """Whether one batch is memorised, where a narrow model does not learn."""
    return (
        ("memorises_one_batch",) if any(_stuck(entry) and _narrowest(record, entry) for entry in judged(record)) else ()
    )


def _stuck(entry: Progress, max_skill: float = 0.3) -> bool:
    return not entry.nonfinite and entry.count >= MIN_STEPS and np.isfinite(entry.skill) and entry.skill < max_skill


def _narrowest(record: Record, entry: Progress) -> tuple[int, int] | None:
    """(parameter, width) of the narrowest place before the output: 0 where a single layer is all there is."""
    matrices = [
        record.parameters[number]
        for number in sorted(entry.objective.leaves)
        if number in record.parameters and len(record.parameters[number].shape) >= 2
    ]
    if not matrices:
        return None
    if len(matrices) == 1:
        return matrices[0].number, 0
    narrow = min(matrices[:-1], key=lambda known: known.shape[0])
    return (narrow.number, int(narrow.shape[0])) if narrow.shape[0] <= NARROW else None


def in_experiment(
    record: Record,
    source: Source,
    outcomes: Mapping[str, Outcome],
    *,
    min_share: float = 0.7,  # of the constant predictor's loss left on one batch; models of some width end below 0.3
) -> Answer:
    """One batch is not memorised at any rate, by a model that is narrow."""
    outcome = outcomes.get("memorises_one_batch")
    if outcome is None or not outcome.figures:
        yield from in_run(record, source)
        return
    if not outcome.figure("share") > min_share or outcome.figure("rates") < 2:
        return
    for entry in judged(record):
        found = _narrowest(record, entry) if _stuck(entry) else None
        if found is None:
            continue
        parameter, width = found
        layer = layer_name(record, parameter)
        where = f"{layer} is {width} units wide" if width else f"{layer} is all there is between input and output"
        evidence = (
            Evidence(f"can one batch be memorised? {outcome.answer}", None, outcome.figure("share"), 0.3),
            Evidence(f"{where}; {standing(entry)}", "parameters", float(width), 16.0),
        )
        site = layer_site(record, source, parameter) or loss_site(record, entry)
        yield Finding(site, evidence, 0.85, layer=layer)
        return


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Words: how large is a choice."""
    return [Remedy("make the model wider (a hidden layer of 32 units or more), then deeper", "advice")]


CONDITION = Condition(
    "underfitting",
    "warning",
    needs=("objective", "constant_loss", "graph", "parameters"),
    in_run=in_run,
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    by_learning=True,
    explains=("uninformative-labels",),
)
