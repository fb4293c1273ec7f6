"""Input features differ in scale by orders of magnitude, or sit far from zero.

## What happens
For a linear layer under mean squared error, a feature with mean m and standard deviation s contributes curvature of
about 2 (m^2 + s^2), so plain SGD is stable only below lr = 1 / (m^2 + s^2): about 1e-6 for s = 1000, and 1e-4 for
s = 1 around m = 100. An ordinary lr of 0.01 makes the loss non-finite within ten steps; an lr small enough to survive
leaves the other features untrained. Adam rarely blows up and hides the fault: one useless column multiplied by 1000
left a small classifier at 75-77 % accuracy, where the same script on standardised inputs reached 96-100 %.
It is easy to overlook because the numbers are valid, nothing raises, and the first suspect is the learning rate.

## How it is told apart
Decided on what reaches the first layer with weights, per feature: the ratio of the largest to the median RMS, and
|mean| / std. Both are dimensionless. The step (lr times curvature, or update ratio) must be dominated by that feature.
- `lr-too-high`: features are alike in scale, a smaller lr mends the run. Here scaling the inputs does, at the same lr.
- `unscaled-target`: the inputs are in order, the target is not. `constant-feature`: the spread is zero, not large.
- `inconsistent-preprocessing`: the scale is fine in training and different in evaluation.
- `exploding-gradients`, `saturated-activations` and `nonfinite-loss` are often the consequences, reported after this.
Not this: a norm layer that acts before the first weights, token ids going into an embedding, one-hot or sparse binary
columns, images already in [0, 1] or normalised, and features of unequal scale on a run that learns well.

## Remedy
Take mean and standard deviation from the training split only, and apply the same two numbers to every split.

    mean, std = x_train.mean(0), x_train.std(0).clamp_min(1e-6)
    x_train, x_val = (x_train - mean) / std, (x_val - mean) / std    # store mean and std with the model

Heavy-tailed columns (prices, counts): `torch.log1p` first. Images: `transforms.Normalize`. If the scale cannot be
changed outside the model, put `nn.BatchNorm1d(n_features)` in front. Lowering the lr alone is not a remedy.

## Sources
- scikit-learn, StandardScaler,
  https://scikit-learn.org/stable/modules/generated/sklearn.preprocessing.StandardScaler.html
  [a feature with a variance orders of magnitude larger can dominate the objective]
- CS231n, Neural Networks part 2, Data preprocessing, https://cs231n.github.io/neural-networks-2/
  [centring and scaling; statistics from the training split only]
- D. Holden, My Neural Network isn't working!, http://theorangeduck.com/page/neural-network-not-working
  [initialisation, activations and optimisers assume roughly zero mean and unit spread]
- handson-ml3 pull request 20, https://github.com/ageron/handson-ml3/pull/20
  [a published example degraded by inputs that were not normalised]
"""

from __future__ import annotations

import ast
from typing import NamedTuple

import numpy as np

from ...record import Progress, Record, Row, Site
from ...record.inputs import Door, doors
from ...source import Source
from ...source.entrance import Entrance, standardised_entrance
from ...source.flow import Point
from ...source.inputs import standardised_inputs
from ...source.loss import maker, trails
from ...source.scale import Moments
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, judged, loss_site, site_of, standing

MANY = 64  # columns from 0 to 255: more look like pixels than like a table
MOST_COLUMNS = 16  # of which mean and spread still fit into a line or two
MIN_BATCH = 8  # samples that a batch needs for its mean and spread to say something


class Subject(NamedTuple):
    """What the patches need: (file, line) of the loss, and the first layer."""

    place: tuple[str, int] | None
    entrance: Entrance | None


def in_run(
    record: Record,
    source: Source,
    *,
    max_rms: float = 20.0,  # clinic, bench/signals.py: healthy inputs up to 2.4, faulty ones from 62 on
    max_ratio: float = 30.0,  # largest over median RMS; clinic: healthy up to 2.8, faulty from 27 (all columns large)
    max_offset: float = 20.0,  # |mean| / std of a column; standardised ones have 0, a calendar year has 200
    good_skill: float = 0.7,  # unscaled inputs on a run that learns well cost nothing worth an alarm
) -> Answer:
    """What reaches the first layer is large, uneven, or far from zero, and the run does badly."""
    entries = judged(record)
    if not entries or not record.rows("features"):
        yield NotEvaluated("what reaches the first layer was not seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        if not fails(entry, good_skill):
            continue
        for door in doors(record, entry.objective.number):
            said = None if door.normalised else _uneven(door, max_rms, max_ratio, max_offset)
            if said is None:
                continue
            text, value, reference = said
            yield Finding(
                _site(record, source, entry),
                (
                    Evidence(text, "features", value, reference),
                    Evidence(f"on these inputs the {standing(entry)}", "objective", entry.last, entry.baseline),
                ),
                0.93,
                layer=door.layer,
                subject=Subject(_place(record, entry), _entrance(record, entry, door)),
            )
            return


def _uneven(door: Door, max_rms: float, max_ratio: float, max_offset: float) -> tuple[str, float, float] | None:
    rms, mean, std = door.rms, door.mean, door.std
    alive = np.isfinite(rms) & (rms > 0) & ~((door.low >= 0) & (door.high <= 1))
    if not alive.any():
        return None
    largest = int(np.argmax(np.where(alive, rms, -1)))
    column = door.columns[largest] if largest < len(door.columns) else largest
    others = float(np.median(rms[np.isfinite(rms) & (rms > 0)]))
    ratio = float(rms[largest]) / others if others > 0 else 1.0
    offset = abs(float(mean[largest])) / max(float(std[largest]), 1e-12)
    figures = (
        f"column {column} of what reaches {door.layer or 'the first layer'} has mean {mean[largest]:.4g} "
        f"and std {std[largest]:.4g}"
    )
    if rms[largest] > max_rms and ratio > max_ratio:
        return f"{figures}: {ratio:.3g} times the typical column", ratio, 1.0
    if rms[largest] > max_rms:
        return (
            f"{figures}: {rms[largest]:.3g} times the unit scale that initialisation assumes",
            float(rms[largest]),
            1.0,
        )
    if ratio > max_ratio and rms[largest] > 3:
        return f"{figures}: {ratio:.3g} times the typical column", ratio, 1.0
    if offset > max_offset and rms[largest] > 5:
        return f"{figures}: {offset:.3g} standard deviations from zero", offset, 0.0
    return None


def _place(record: Record, entry: Progress) -> tuple[str, int] | None:
    site = loss_site(record, entry)
    return None if site is None else (site.file, site.line)


def _site(record: Record, source: Source, entry: Progress) -> Site | None:
    """Where the inputs become tensors; else where the model is called on them."""
    loss = loss_site(record, entry)
    if loss is None:
        return None
    outputs, _ = trails(source, loss.file, loss.line)
    # Bytes are scaled where they become floats, later than they become tensors.
    floats = [point for point in outputs if _is_float(point)]
    made = floats[-1] if floats and any(_is_bytes(point) for point in outputs) else maker(outputs)
    if made is not None:
        return site_of(made)
    return loss


def _is_float(point: Point) -> bool:
    return isinstance(point.node, ast.Call) and point.module.dotted(point.node.func) == "?.float"


def _is_bytes(point: Point) -> bool:
    return any(getattr(node, "attr", "") in ("uint8", "byte") for node in ast.walk(point.node))


def _entrance(record: Record, entry: Progress, door: Door) -> Entrance | None:
    """What a patch in front of the first layer needs to know."""
    known = record.parameters.get(door.parameter) if door.parameter is not None else None
    rows = record.rows("features", site=entry.objective.number, param=door.parameter)
    shape = rows[0].get("shape") if rows else None
    if known is None or not known.name or not known.declared or not isinstance(shape, list) or len(shape) < 2:
        return None
    call = record.calls.get(entry.call) if entry.call is not None else None
    output = (call or {}).get("output") or {}
    batch = (output.get("shape") or [None])[0]
    mean, std = float(np.nanmean(door.mean)), float(np.sqrt(np.nanmean(np.square(door.std))))
    apart = float(np.nanstd(door.mean))
    overall = float(np.hypot(std, apart))
    alike = bool(np.nanmax(door.std) < 3 * np.nanmin(door.std) and apart < overall / 2)
    pixels = len(door.low) >= MANY and np.nanmin(door.low) >= 0 and 1 < np.nanmax(door.high) <= 255
    alike = alike or bool(pixels)  # flattened images: border pixels that never vary share the scale of the others
    smallest = min((row["shape"][0] for row in rows if row.get("shape")), default=0)
    lonely = any(_remainder(row) == 1 for row in record.rows("loader"))  # batch norm cannot train on one sample
    flat = len(shape) == 2 and batch == shape[0]
    width = shape[1] if len(shape) > 2 else shape[-1]
    if not np.isfinite([mean, overall]).all():
        return None
    norm = smallest >= MIN_BATCH and not lonely
    pairs = zip(door.mean, door.std) if len(shape) == 2 and len(door.mean) == width <= MOST_COLUMNS else ()
    columns = tuple(Moments(float(m), float(s)) for m, s in pairs if np.isfinite(m) and s > 0)
    return Entrance(
        known.name,
        int(width),
        flat,
        alike,
        norm,
        Moments(mean, overall or 1.0),
        columns if len(columns) == width else (),
    )


def _remainder(row: Row) -> int:
    size, samples = row.get("batch_size"), row.get("samples")
    if row.get("drop_last") or not isinstance(size, int) or not isinstance(samples, int) or size < 1:
        return 0
    return samples % size


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Standardise: with the training split's statistics where the data can be followed, else in front of the model."""
    words = "standardise the inputs with mean and std of the training split: x = (x - mean) / std"
    found = []
    if isinstance(finding.subject, Subject):
        place, entrance = finding.subject
        whole = entrance is not None and (entrance.flat or entrance.alike)  # else an axis of time is in the way
        edits = standardised_inputs(source, *place, not entrance.alike) if place and entrance and whole else ()
        if edits:
            found.append(Remedy(words, "changes-training", edits))
        loss = place if place is not None else ("", 0)
        edits = standardised_entrance(source, entrance, *loss) if entrance is not None else ()
        if edits:
            mean, std = entrance.moments.texts if entrance is not None else ("", "")
            batched = any("BatchNorm" in edit.text for edit in edits)
            how = "batch norm without weights" if batched else "mean and std of each column in training"
            title = (
                f"scale what goes into {finding.layer or 'the first layer'}: (x - {mean}) / {std}"
                if entrance is not None and entrance.alike and not batched
                else f"standardise what goes into {finding.layer or 'the first layer'}: {how}"
            )
            found.append(Remedy(title, "changes-training", edits))
    return found or [Remedy(words, "changes-training")]


CONDITION = Condition(
    "unscaled-features",
    "error",
    needs=("features", "objective", "loss_values", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    by_learning=True,
    explains=(
        "lr-too-high",
        "exploding-gradients",
        "nonfinite-loss",
        "saturated-activations",
        "dead-relu",
        "vanishing-gradients",
        "uninformative-labels",
        "lr-too-low",
    ),
)
