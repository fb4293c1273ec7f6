"""Random augmentation also acts on the validation data.

## What happens
`random_split` gives two views of one data set, and both see its transform: the random crops, flips and noise that make
the training harder act on the validation too. The validation loss is then noisy from epoch to epoch and worse than the
model is; early stopping and the choice of the best checkpoint follow the luck of the draw, and two models cannot be
compared.

## How it is told apart
Decided on fingerprints of the first batches of a loader that is never trained on: the same labels come in the same
order in two passes, and the inputs differ. For hand-made batches: the first batch of each evaluation has as many of
each class as before and other inputs, which come from a function that draws noise, and that training calls too.
- `train-mode-in-eval`: the inputs are the same, and dropout or batch norm make the outputs differ.
- `inconsistent-preprocessing`: validation is prepared the same way in each pass, but not as training is.
- `duplicate-worker-seeds`: the draws do not differ where they should.
Not this: a loader that shuffles, a stream, samples drawn afresh for each pass together with their labels.

## Remedy
Two data sets over the same files, one with and one without the augmentation, and the same indices to split them.

    train = Subset(Images(root, augment=True), train_indices)
    val = Subset(Images(root, augment=False), val_indices)

Where the augmentation of validation is meant (test-time augmentation), average over several passes.

## Sources
- PyTorch, torch.utils.data.random_split and Subset, https://docs.pytorch.org/docs/stable/data.html
- PyTorch, Transfer learning tutorial,
  https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html
  [augmentation and normalisation for training, just normalisation for validation]
"""

from __future__ import annotations

from ...record import Record, Row, Site
from ...record.feeds import Loader, loaders
from ...record.record import number
from ...source import Source
from ...source.augmentation import noise_for_both, without_augmentation
from ...source.loading import loader_call
from ...source.loss import trails
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of


def in_run(
    record: Record,
    source: Source,
    *,
    min_pairs: int = 2,  # passes that differ from the first: one may be a data set that was just filled
) -> Answer:
    """Two passes over the same evaluation samples, with the same labels, give other inputs."""
    by_hand = _by_hand(record, source, min_pairs)
    if by_hand is not None:
        yield by_hand
        return
    known = loaders(record)
    held = [loader for loader in known if not loader.backed and loader.ordered]
    if not held or not any(loader.backed for loader in known):
        yield NotEvaluated("no evaluation loader that goes through its data in order was seen")
        return
    groups: dict[tuple[object, ...], list[Loader]] = {}
    for loader in held:
        key = (loader.site, loader.samples, loader.row.get("dataset"), loader.row.get("batch_size"))
        groups.setdefault(key, []).append(loader)
    for group in groups.values():
        marks = [mark for loader in group for mark in loader.marks(0) if len(mark) >= 2]
        if not marks:
            continue
        same = [mark for mark in marks[1:] if mark[1:] == marks[0][1:]]
        other = [mark for mark in same if mark[0] != marks[0][0]]
        if len(other) < min_pairs or len(other) != len(same):
            continue
        text = (
            f"the first batch of the evaluation had the same labels in {len(same) + 1} passes, and other inputs in each"
        )
        evidence = (Evidence(text, "loader_batches", float(len(other)), 0.0),)
        yield Finding(_site(source, group[0]), evidence, 0.9, subject=group[0].site)
        return


def _by_hand(record: Record, source: Source, min_pairs: int) -> Finding | None:
    """The first batch that an evaluation calls the model on: the same labels in each, and other inputs."""
    doors = [row for row in record.rows("door", place=0) if {"site", "step", "shape", "mean", "std"} <= row.keys()]
    labels = record.rows("labels", grad=False)
    trained = next((record.site(row["site"]) for row in doors if row.get("grad") and row.get("training")), None)
    if not labels or trained is None:
        return None
    line = labels[0].get("site")
    loss = record.site(line)
    counts = _first_counts([row for row in labels if row.get("site") == line])
    first: dict[int, Row] = {}
    for row in doors:
        if not row.get("grad") and not row.get("training"):
            first.setdefault(row["step"], row)
    passes = [(first[step], held) for step, held in counts.items() if step in first]
    if loss is None or len(passes) <= min_pairs:
        return None
    (row, held), *later = passes
    same = [other for other, own in later if own == held and other["shape"] == row["shape"] and len(row["shape"]) > 1]
    mean, std = number(row["mean"]), number(row["std"])
    # The same numbers have the same moments: what differs by a thousandth of the spread is other numbers.
    other = [each for each in same if abs(number(each["mean"]) - mean) + abs(number(each["std"]) - std) > 1e-3 * std]
    site = record.site(row["site"])
    if len(other) < min_pairs or len(other) != len(later) or row["shape"][0] != sum(held) or site is None:
        return None
    target = trails(source, loss.file, loss.line)[1]
    point = noise_for_both(source, (trained.file, trained.line), (site.file, site.line), target)
    if point is None:
        return None
    text = (
        f"the first batch of the evaluation had as many of each class in {len(passes)} passes, and other inputs: "
        f"mean {mean:.4g}, then {number(other[0]['mean']):.4g}; what makes it draws noise, as for training"
    )
    return Finding(site_of(point), (Evidence(text, "model_inputs", float(len(other)), 0.0),), 0.8)


def _first_counts(rows: list[Row]) -> dict[int, list[int]]:
    """Labels by class of the first batch of each evaluation, by step; {} where it is not known which that is."""
    if not rows or rows[0].get("n") != 0 or not all({"n", "step", "counts"} <= row.keys() for row in rows):
        return {}
    start = next((row["n"] for row in rows if row["step"] != rows[0]["step"]), 0)
    if not start or [row["n"] for row in rows[: start + 1]] != list(range(start + 1)):
        return {}
    return {row["step"]: row["counts"] for row in rows if row["n"] % start == 0}


def _site(source: Source, loader: Loader) -> Site | None:
    """Where one data set is split in two views; else where the loader is built."""
    for module in source:
        for call in module.calls("torch.utils.data.random_split", "random_split"):
            return site_at(module, call)
    point = loader_call(source, loader.site.file, loader.site.line) if loader.site is not None else None
    return site_of(point) if point is not None else loader.site


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A data set of its own."""
    title = "give the validation a data set of its own, without the random transform, over the same indices"
    at = finding.subject if isinstance(finding.subject, Site) else None
    loader = loader_call(source, at.file, at.line) if at is not None else None
    edits = without_augmentation(source, loader) if loader is not None else []
    return [Remedy(title, "changes-training", tuple(edits))]


CONDITION = Condition(
    "augmented-validation",
    "warning",
    needs=("loader_batches", "loader_feeds", "loaders", "model_inputs", "label_recall"),
    in_run=in_run,
    remedies=remedies,
    explains=("overfitting", "wrong-metric"),
)
