"""Training batches arrive in the order of the labels.

## What happens
A data set that is sorted, or was put together class by class (one folder after the other), and is not shuffled gives
batches of one class. The network is told "always class 0" for a hundred steps, then "always class 1", and forgets each
for the next: the training loss is close to zero within a class and jumps at every border, and after an epoch all
predictions are the class that came last. Batch norm makes it worse, as its moments are those of one class. A sorted
regression target pulls the output up along the epoch and down again at its start.

## How it is told apart
Decided on the entropy of the labels within a batch against that of all of them together, batch by batch as they arrive
(for a regression: the spread within a batch against that between them), with a loader that goes through its data from
first to last, or hand-made slices, and a harm that shows: losses above the best constant's late in the run, or an
evaluation whose predictions do not have the frequencies of its labels.
- `constant-target`: there is one label only, in all batches. `class-imbalance`: batches are alike, one class is rare.
- `lr-too-high`: the loss jumps at random, not at the borders of the classes. `repeated-batch`: no border ever comes.
- `batch-norm-eval-gap`: can be the consequence of batches of one class.
Not this: data already in random order, evaluation loaders, time series that are read in order on purpose and learnt,
one batch that holds all the data, a GAN's batches of real and of fake samples, streams.

## Remedy
    loader = DataLoader(train_set, batch_size=64, shuffle=True)

or, for hand-made batches, `order = torch.randperm(len(x))` at the start of each epoch and `x[order[i : i + 64]]`. A
stream that cannot be shuffled wants a shuffle buffer. Split at random before, or a class is missing in the training.

## Sources
- PyTorch, torch.utils.data.DataLoader, https://docs.pytorch.org/docs/stable/data.html
  [`shuffle`: data reshuffled at every epoch, False by default]
- L. Bottou, Stochastic Gradient Descent Tricks, https://leon.bottou.org/papers/bottou-tricks-2012
  [randomly shuffle the training examples; zipping sequentially through classes wrecks stochastic gradient]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Progress, Record, Site
from ...record.feeds import Labels, Loader, entropy, labels, loaders, targets
from ...source import Source
from ...source.flow import Point
from ...source.loading import cutting_loops, keyword, loader_call, loader_calls, made_constant
from ...source.loss import trails
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, judged, loss_site, site_at, site_of

PERMUTERS = ("randperm", "permutation", "shuffle", "randint", "choice", "sample", "multinomial", "shuffled")


def in_run(
    record: Record,
    source: Source,
    *,
    max_ratio: float = 0.6,  # entropy in a batch over that of all; every script of the clinic has 0.94 or more
    min_batch: float = 6.0,  # labels in a batch; of fewer, the entropy is small by chance
    min_between: float = 0.7,  # share of a target's variance between batches; shuffled ones of the clinic have 0.1
) -> Answer:
    """Labels of a batch are far more alike than those of all batches."""
    entries = [Progress(record, objective) for objective in record.objectives if objective.count >= 10]
    if not entries or not record.rows("loss"):
        yield NotEvaluated("no targets were seen at a loss function")
        return
    trained = [loader for loader in loaders(record) if loader.trained]
    if trained and not any(loader.ordered for loader in trained):
        return
    found = labels(record, graded=True)
    for entry in entries:
        call = record.calls.get(entry.call) if entry.call is not None else None
        loss = loss_site(record, entry)
        if call is None or loss is None or len(entry.objective.calls) > 1:
            continue
        rows = found.get(call.get("site"))
        said = _sorted_labels(rows, max_ratio, min_batch) if rows is not None and len(rows) else None
        if said is not None:
            harm = _harm(record, entry)
        else:
            said = _sorted_targets(record, entry, min_between) if rows is None or not len(rows) else None
            harm = _poor(record, entry) if said is not None else None
        if said is None or harm is None or made_constant(trails(source, loss.file, loss.line)[1]):
            continue
        if not trained and _permuted(source, loss):
            continue
        site, point = _site(source, loss, trained)
        yield Finding(site, (said, harm), 0.93, subject=point)
        return


def _sorted_labels(rows: Labels, max_ratio: float, min_batch: float) -> Evidence | None:
    rows = rows.where(rows.counts.sum(1) >= min_batch)  # a phase of single samples says nothing about order
    if len(rows) < 5:
        return None
    # The dense start comes from one place of the data: the late half is spread over the epochs.
    within = float(np.mean([entropy(counts) for counts in rows.counts]))
    shares = rows.counts / np.maximum(rows.counts.sum(1, keepdims=True), 1)
    total = entropy(shares.mean(0))
    if total < 0.2 or within > max_ratio * total:
        return None
    kinds = float(np.median((rows.counts > 0).sum(1)))
    return Evidence(
        f"a batch holds {kinds:.0f} of {int((rows.counts.sum(0) > 0).sum())} classes: the entropy of its labels is "
        f"{within:.3f}, that of all batches together {total:.3f}",
        "label_recall",
        within,
        total,
    )


def _sorted_targets(record: Record, entry: Progress, min_between: float) -> Evidence | None:
    call = record.calls.get(entry.call) if entry.call is not None else None
    mean, std = targets(record, (call or {}).get("site"))
    seen = np.isfinite(mean) & np.isfinite(std)
    mean, std = mean[seen], std[seen]
    if len(mean) < 10 or len(set(mean)) < 4:
        return None
    # The dense start is one place of the data: with it alone, the spread between batches is not seen.
    between, within = float(np.var(mean)), float(np.mean(np.square(std)))
    if between + within <= 0 or between < min_between * (between + within):
        return None
    return Evidence(
        f"the targets of a batch have a standard deviation of {np.sqrt(within):.4g}, the means of batches one of "
        f"{np.sqrt(between):.4g}: the data come sorted",
        "loss_values",
        float(np.sqrt(within)),
        float(np.sqrt(between)),
    )


def _poor(record: Record, entry: Progress) -> Evidence | None:
    """A regression that stands badly: series in order that are learnt all the same are no case of this."""
    known = [each for each in judged(record) if each.objective.number == entry.objective.number]
    if not known or not fails(known[0], 0.8):
        return _peak(entry)
    return Evidence(f"the loss went {entry.first:.4g} -> {entry.last:.4g}", "objective", entry.last, entry.baseline)


def _peak(entry: Progress) -> Evidence | None:
    values = entry.objective.values
    late = values[int(len(values) * 0.6) :]
    late = late[np.isfinite(late)]
    if len(late) < 5 or not np.isfinite(entry.baseline):
        return None
    peak, low = float(np.max(late)), float(np.median(late))
    if peak < 1.2 * entry.baseline * entry.scale:
        return None
    return Evidence(
        f"late in the run the loss still jumps from {low:.4g} to {peak:.4g}, above the {entry.baseline:.4g} of the "
        "best constant output: each class is learnt and forgotten in turn",
        "objective",
        peak,
        entry.baseline,
    )


def _harm(record: Record, entry: Progress) -> Evidence | None:
    for rows in labels(record, graded=False).values():
        counts, predicted = rows.counts.sum(0), rows.predicted.sum(0)
        if not len(counts) or counts.sum() < 20:
            continue
        distance = float(np.abs(counts / counts.sum() - predicted / max(1.0, predicted.sum())).sum() / 2)
        if distance > 0.15:
            top = int(np.argmax(predicted))
            return Evidence(
                f"in evaluation {predicted[top] / predicted.sum():.0%} of the predictions are class {top}, which is "
                f"{counts[top] / counts.sum():.0%} of the labels",
                "label_recall",
                float(predicted[top] / predicted.sum()),
                float(counts[top] / counts.sum()),
            )
    return _peak(entry)


def _permuted(source: Source, loss: Site) -> bool:
    """Whether hand-made batches are drawn through a permutation, wherever it stands on the way."""
    outputs, targets = trails(source, loss.file, loss.line)
    for point in [*outputs, *targets]:
        for node in ast.walk(point.node):
            if isinstance(node, ast.Call) and point.module.dotted(node.func).rpartition(".")[2] in PERMUTERS:
                return True
    return False


def _site(source: Source, loss: Site, trained: list[Loader]) -> tuple[Site, Point | None]:
    """Where the loader is built; for hand-made batches, the loop that cuts them."""
    for loader in trained:
        if loader.ordered and loader.site is not None:
            point = loader_call(source, loader.site.file, loader.site.line)
            if point is not None:
                return site_of(point), point
            calls = [each for each in loader_calls(source) if keyword(each.node, "shuffle") is None]
            if len(calls) == 1:
                return site_of(calls[0]), calls[0]
            return loader.site, None
    loops = cutting_loops(source, loss.file, loss.line)
    return (site_at(*loops[-1]) if loops else loss), None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """shuffle=True."""
    point = finding.subject
    if not isinstance(point, Point) or not isinstance(point.node, ast.Call):
        title = "go through the data in a new random order in each epoch: order = torch.randperm(len(x))"
        return [Remedy(title, "changes-training")]
    call, module = point.node, point.module
    given = keyword(call, "shuffle")
    if given is not None:
        edit = module.replace(given, "True")
    elif keyword(call, "sampler") is not None or keyword(call, "batch_sampler") is not None:
        return [Remedy("use a RandomSampler", "changes-training")]
    else:
        last = [*call.args, *[each.value for each in call.keywords]][-1]
        edit = module.replace(last, f"{module.segment(last)}, shuffle=True")
    return [Remedy("shuffle the training data in every epoch", "changes-training", (edit,))]


CONDITION = Condition(
    "unshuffled-data",
    "error",
    needs=("label_recall", "loss_values", "loaders", "loader_feeds", "objective", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    explains=(
        "dead-relu",
        *("lr-too-high", "lr-too-low", "batch-norm-eval-gap", "class-imbalance", "uninformative-labels"),
        *("overfitting", "exploding-gradients"),
    ),
)
