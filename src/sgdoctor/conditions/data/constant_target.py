"""Every target is the same, so there is nothing to tell apart.

## What happens
A label pipeline that broke gives one value for every sample: a comparison with the wrong type, a threshold on another
scale, a column that was overwritten, a look-up with a default, a cast that cut every fraction to zero. The loss then
falls at once, to zero or to its bound, and accuracy is 100 %: the network has learnt a constant in its last bias. That
reads as success, until the first real sample; or as a puzzle, where the evaluation labels are sound.

## How it is told apart
Decided on the spread of the targets over all sampled batches: exactly zero, and the same value in every one.
- `unshuffled-data`: each batch has one label, but they differ from batch to batch.
- `lossy-cast`: the same, where a cast on the way of the targets explains it; it is then named as the cause.
- `class-imbalance`: the other classes are rare, but there. `constant-loss`: the loss does not depend on the output.
- `uninformative-labels`: the labels vary, and the inputs say nothing about them.
Not this: targets the script fills with a constant itself, as for a GAN's real and fake samples, a residual that is to
be zero, a positive that always stands at place 0.

## Remedy
Look at the labels where they are made, before any training: `torch.unique(y, return_counts=True)`, and mend the
pipeline. No setting of the training matters until they vary.

    values, counts = y.unique(return_counts=True)
    assert len(values) > 1, f"every label is {values}"

## Sources
- PyTorch, torch.unique, https://docs.pytorch.org/docs/stable/generated/torch.unique.html
- A. Karpathy, A Recipe for Training Neural Networks, https://karpathy.github.io/2019/04/25/recipe/
  [become one with the data; verify the loss at the start]
"""

from __future__ import annotations

import numpy as np

from ...record import Progress, Record, Site
from ...record.feeds import loaders
from ...source import Source
from ...source.flow import Point
from ...source.loading import made_constant, origin
from ...source.loss import trails
from ...source.sameness import chosen
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import loss_site, site_of


def in_run(
    record: Record,
    source: Source,
    *,
    min_samples: int = 6,  # the dense start of the sampler: six batches of one value are no accident
    min_targets: int = 20,  # targets behind them, so that tiny batches of a rare event do not count
) -> Answer:
    """One value stands in every sampled target."""
    objectives = [Progress(record, objective) for objective in record.objectives if objective.count >= min_samples]
    if not objectives or not any(len(entry.samples) for entry in objectives):
        yield NotEvaluated("no targets were seen at a loss function")
        return
    if len(objectives) > 1:  # losses against each other have constant labels by design
        return
    entry = objectives[0]
    if len(entry.objective.calls) > 1:
        return
    mean, std = entry.samples.column("target.mean"), entry.samples.column("target.std")
    seen = np.isfinite(mean) & np.isfinite(std)
    if seen.sum() < min_samples or np.any(std[seen] != 0) or len(set(mean[seen])) != 1:
        return
    size = _size(record, entry)
    if size * seen.sum() < min_targets:
        return
    loss = loss_site(record, entry)
    trail = trails(source, loss.file, loss.line)[1] if loss is not None else []
    if made_constant(trail) or not (trail or _loaded(record, float(mean[seen][0]))):
        return
    text = f"all {int(seen.sum())} sampled batches hold the one target {mean[seen][0]:.6g}: standard deviation 0"
    evidence = [Evidence(text, "loss_values", 0.0)]
    evidence.append(
        Evidence(f"the loss went {entry.first:.4g} -> {entry.last:.4g}; a bias can do that alone", "objective")
    )
    yield Finding(_site(trail, loss, float(mean[seen][0])), tuple(evidence), 0.93)


def _size(record: Record, entry: Progress) -> int:
    call = record.calls.get(entry.call) if entry.call is not None else None
    shape = ((call or {}).get("target") or {}).get("shape") or [1]
    return int(np.prod(shape)) if shape else 1


def _loaded(record: Record, value: float) -> bool:
    """Whether a loader hands that constant over."""
    for loader in loaders(record):
        for row in loader.described:
            for tensor in row.get("of") or []:
                if tensor.get("std") == 0 and tensor.get("mean") == value:
                    return True
    return False


def _site(trail: list[Point], loss: Site | None, value: float) -> Site | None:
    """Where the one value is chosen; else where the labels are computed, or become tensors."""
    made = chosen(trail, value) or origin(trail)
    return site_of(made) if made is not None else loss


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Repair the labels."""
    return [Remedy("repair the labels: look at torch.unique(y, return_counts=True) where they are made", "advice")]


CONDITION = Condition(
    "constant-target",
    "error",
    needs=("loss_values", "loss_calls", "objective", "loader_batches"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
    explains=("wrong-loss-for-task", "uninformative-labels", "class-imbalance", "unscaled-target", "lr-too-low"),
)
