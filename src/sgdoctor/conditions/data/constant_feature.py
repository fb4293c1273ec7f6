"""The inputs carry no information: the columns never vary.

## What happens
A column that is the same in every sample adds nothing but a bias. One such column is harmless; all of them, or all that
matter, leave the network with nothing to decide by: it learns the mean of the targets, or the frequencies of the
classes, and stays there whatever the optimiser. The usual origin is a pipeline that broke in silence: every path opens
the same file, a resize or a crop that keeps only the border, a feature overwritten in a loop, a join that matched no
row and was filled with a default, a scale so small that everything rounds to one value.

## How it is told apart
Decided on the spread of each column of what reaches the first layer, within and between the sampled batches.
- `uninformative-labels`: the inputs vary, but say nothing about the targets. Here they do not vary at all.
- `constant-target`: the targets never vary. `lossy-cast`: a cast on the way of the inputs wiped the differences out.
- `unscaled-features`: the columns vary on scales that are far apart; `nonfinite-data`: dividing by a zero spread.
- `repeated-batch`: every batch is the same, but its samples differ from each other.
Not this: a few dead columns among many (border pixels, rare categories), the zero start of a recurrent state, a
generator's or a hypernetwork's fixed code, runs that learn well all the same.

## Remedy
Look at two samples side by side, raw and as the model gets them, and go back to where they become the same.

    print(x.std(dim=0))          # zeros show the columns
    x = x[:, x.std(dim=0) > 0]   # drop what is dead only after the pipeline is understood

## Sources
- scikit-learn, VarianceThreshold,
  https://scikit-learn.org/stable/modules/generated/sklearn.feature_selection.VarianceThreshold.html
  [features that are the same in all samples are removed by default]
- A. Karpathy, A Recipe for Training Neural Networks, https://karpathy.github.io/2019/04/25/recipe/
  [visualise just before the net; an input-independent baseline]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Progress, Record, Site
from ...record.inputs import Door, doors
from ...record.record import number
from ...source import Source
from ...source.loading import made_constant, origin
from ...source.loss import trails
from ...source.sameness import chosen, without_index
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, judged, loss_site, site_of, standing

TINY = 1e-6  # of a column's size: what is left of a spread after float32 arithmetic on equal numbers


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.999,  # of the columns: a gated cell of the clinic has 0.94, its state starting at zero
    bad_skill: float = 0.5,  # a run that learns more than that gets its information from somewhere
    min_rows: int = 6,  # the dense start of the sampler; fewer may hold one sample again and again
) -> Answer:
    """All columns that reach the first layers never vary, and the run does badly."""
    entries = judged(record)
    if not entries or not record.rows("features"):
        yield NotEvaluated("what reaches the first layer was not seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        found = [door for door in doors(record, entry.objective.number) if door.op != "MulBackward0"]
        alike = _alike(record)
        if not (found or alike) or not fails(entry, bad_skill) or entry.nonfinite:
            continue
        if len(record.rows("features", site=entry.objective.number)) < min_rows or _full_batch_of_one(record, entry):
            continue
        shares = [_dead(door) for door in found]
        # Every door must be dead: a recurrent net's zero start stands beside the sequence, which varies.
        # Ids have no moments: of them only the whole of a batch can say that its samples are alike.
        indices = any(row.get("indices") for row in record.rows("features"))
        varies = indices or min(shares, default=0.0) < min_share
        if varies and alike is None:
            continue
        loss = loss_site(record, entry)
        trail = trails(source, loss.file, loss.line)[0] if loss is not None else []
        if made_constant([point for point in trail[-1:] if not isinstance(point.node, ast.Constant)]):
            continue
        door = found[0] if found else None
        text = _columns(door, shares[0]) if door is not None else ""
        if varies:
            text = f"all samples of each of {alike} sampled batches are the same, place by place"
        yield Finding(
            _site(record, source, loss),
            (
                Evidence(text, "features", shares[0] if shares else 1.0, 0.0),
                Evidence(f"on these inputs the {standing(entry)}", "objective", entry.last, entry.baseline),
            ),
            0.9,
            layer=door.layer if door is not None else None,
        )
        return


def _columns(door: Door, share: float) -> str:
    mean = float(np.nanmean(door.mean)) if len(door.mean) else float("nan")
    return (
        f"{round(share * len(door.std))} of {len(door.std)} columns of what reaches {door.layer or 'the first layer'} "
        f"have the same value in every sample (on average {mean:.4g})"
    )


def _dead(door: Door) -> float:
    std, rms = door.std, door.rms
    if not len(std) or not np.isfinite(std).all():
        return 0.0
    return float((std <= TINY * np.maximum(rms, 1e-30)).mean())


def _alike(record: Record) -> int | None:
    """The number of sampled batches in training, where the samples of each are equal to each other."""
    rows = record.rows("door", training=True, grad=True, place=0)
    # Of ids only the moments are known: no spread at all is the one case that they show.
    known = [
        (number(row.get("apart", row.get("std"))), abs(number(row.get("mean"))) + number(row.get("std")))
        for row in rows
        if "apart" in row or (row.get("std") == 0 and str(row.get("dtype")).startswith("int"))
    ]
    if len(known) < len(rows):
        return None
    same = len(known) >= 4 and all(apart <= TINY * max(size, 1e-30) for apart, size in known)
    return len(known) if same else None


def _full_batch_of_one(record: Record, entry: Progress) -> bool:
    """A single sample has no spread to show."""
    shapes = [row.get("shape") or [] for row in record.rows("features", site=entry.objective.number)]
    return all(not shape or shape[0] < 2 for shape in shapes) and len(shapes) < 20


def _site(record: Record, source: Source, loss: Site | None) -> Site | None:
    """Where the index of a dataset gets lost, or the one value is chosen; else where the inputs are made."""
    if loss is None:
        return None
    trail = trails(source, loss.file, loss.line)[0]
    means = {number(row.get("mean")) for row in record.rows("door", training=True, grad=True, place=0)}
    made = without_index(trail) or (chosen(trail, means.pop()) if len(means) == 1 else None) or origin(trail)
    return site_of(made) if made is not None else loss


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Go back to where samples become the same."""
    title = "compare two samples, raw and at the model's door, and mend the step at which they become the same"
    return [Remedy(title, "advice")]


CONDITION = Condition(
    "constant-feature",
    "error",
    needs=("features", "model_inputs", "objective", "loss_values", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
    explains=("uninformative-labels", "unscaled-features", "lr-too-low", "dead-relu", "class-imbalance"),
)
