"""The batch is larger than the data set, so an epoch holds one step or none.

## What happens
`len(loader)` is ceil(n / batch_size), or floor(n / batch_size) with `drop_last=True`. With 50 samples and batches of 64
that is one step an epoch, or zero. At zero the loop body never runs: weights stay as initialised, and the script
prints a loss of 0, a NaN (`np.mean([])`), or stops with `ZeroDivisionError` or `UnboundLocalError` at the averaging
line, which points away from the cause. At one, "20 epochs" are 20 updates, and the loss has hardly moved. The batch
size was usually copied from a larger project, or the data cut down for a trial; a DistributedSampler divides it again.

## How it is told apart
Decided on batch size over data set length, on optimizer steps per pass over the loader, and on drop_last. The total
number of updates must be small, or zero, for the progress asked of it. Hand-made batches: the size that the loop cuts,
a number in the source, is beyond the number of rows of the only batches that came.
- `missing-step`: batches and backward passes are there, the step is not. Here there are none, or one per epoch.
- `lr-too-low`: many updates, each too small. `repeated-batch`: many steps on one batch while the loader holds more.
- `too-short` (a verdict): enough steps an epoch, but the run ended early.
- `nonfinite-loss`: here the NaN comes from averaging an empty list; no tensor of the run was non-finite.
Not this: deliberate full-batch training (LBFGS, physics-informed nets, tiny tables) with hundreds of epochs and a loss
that goes down; a last incomplete batch that is dropped while others remain; an evaluation loader with one batch.

## Remedy
Choose the batch so that an epoch has ten steps or more, and refuse an empty loader.

    loader = DataLoader(train, batch_size=min(64, max(4, len(train) // 10)), shuffle=True)
    assert len(loader) > 0, "no training batch: batch_size exceeds the data and drop_last is set"

If batches become tiny, prefer GroupNorm to batch norm. With data this small, count updates rather than epochs. A
smaller batch may want a smaller lr; look at the run again after the change.

## Sources
- PyTorch, torch.utils.data.DataLoader, https://docs.pytorch.org/docs/stable/data.html
  [drop_last removes the incomplete batch; length of the loader]
- vamb pull request 425, https://github.com/RasmussenLab/vamb/pull/425
  [drop_last with fewer observations than a batch: no samples]
- sscd-copy-detection issue 9, https://github.com/facebookresearch/sscd-copy-detection/issues/9
  [966 samples, a loader of length 0; the maintainer: one iteration an epoch]
- PaddleScience pull request 355, https://github.com/PaddlePaddle/PaddleScience/pull/355
  [an error added for an empty loader: batch_size above the number of samples with drop_last]
"""

from __future__ import annotations

import ast
import math

from ...record import Progress, Record, Row, Site
from ...source import Module, Source
from ...source.loading import cutting_loops
from ...source.loss import argument
from ...source.numbers import literals
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, judged, loss_site, site_at, standing

STEPS = 10  # an epoch, at least
LEAST, MOST = 4, 32  # the new batch: below, gradients are mostly noise; above, small data leave few steps


def in_run(
    record: Record,
    source: Source,
    *,
    max_steps: int = 200,  # of one step an epoch: after that many the run is slow, but no longer short
    good_skill: float = 0.9,  # a run that has learnt with whole-set steps needs no advice
) -> Answer:
    """A training loader's batch is larger than its dataset: one step an epoch, or none."""
    trained = max((objective.count for objective in record.objectives), default=0)
    loaders = record.rows("loader")
    if not loaders:
        yield from _by_hand(record, source, max_steps, good_skill)
        return
    for row in loaders:
        size, samples, passes = row.get("batch_size"), row.get("samples"), row.get("passes") or 0
        if not isinstance(size, int) or not isinstance(samples, int) or size <= samples or not samples:
            continue
        if row.get("drop_last") and row.get("batches") == 0:
            if trained == 0 or row.get("sampler") == "RandomSampler":
                yield _finding(record, source, row, f"and drop_last drops it: no batch in {passes} passes", 0.97)
                return
            continue
        if not _trains(row, trained) or trained > max_steps:
            continue
        entries = judged(record)
        if entries and not fails(entries[0], good_skill):
            continue
        text = f"one step a pass, {trained} in all" + (f"; {standing(entries[0])}" if entries else "")
        yield _finding(record, source, row, text, 0.9)
        return


def _trains(row: Row, trained: int) -> bool:
    """One batch a pass: the loader that trains was gone through as often as backward was called."""
    return row.get("sampler") == "RandomSampler" or abs((row.get("passes") or 0) - trained) <= 1


def _finding(record: Record, source: Source, row: Row, text: str, confidence: float) -> Finding:
    size, samples = row.get("batch_size"), row.get("samples")
    evidence = Evidence(
        f"batch size {size}, dataset {samples} samples: {text}", "loaders", float(size or 0), float(samples or 0)
    )
    severity = "error" if row.get("batches") == 0 else None
    site = _built(source, record, row)
    return Finding(site, (evidence,), confidence, severity=severity, subject=(size, samples))  # type: ignore[arg-type]


def _built(source: Source, record: Record, row: Row) -> Site | None:
    """Where the loader is built: the first DataLoader that shuffles, or the first one; else where it is used."""
    calls = [(module, call) for module in source for call in module.calls("torch.utils.data.DataLoader", "DataLoader")]
    wanted = row.get("sampler") == "RandomSampler"
    shuffled = [(m, c) for m, c in calls if any(k.arg == "shuffle" and _true(k.value) for k in c.keywords) == wanted]
    found = shuffled or calls
    return site_at(*found[0]) if found else record.site(row.get("site"))


def _true(node: ast.expr) -> bool:
    return not (isinstance(node, ast.Constant) and not node.value)


def _by_hand(record: Record, source: Source, max_steps: int, good_skill: float) -> Answer:
    """Hand-made batches: `range(0, n, batch)` with a batch beyond n makes one slice of everything."""
    entries = judged(record)
    if not entries:
        yield NotEvaluated("no data loader was seen")
        return
    entry = entries[0]
    # Where no best constant is known, a loss that has fallen by less than half has not got there either.
    short = fails(entry, good_skill) if math.isfinite(entry.skill) else fails(entry) or entry.drop < 0.5
    if entry.count > max_steps or not short:
        return
    found = _written(source) or _cut(record, source, entry)
    if found is None:
        return
    module, call, size, samples = found
    text = f"batches of {size} are cut from {samples} samples: one step a pass, {entry.count} in all; {standing(entry)}"
    evidence = Evidence(text, "objective", float(size), float(samples))
    yield Finding(site_at(module, call), (evidence,), 0.85, subject=(size, samples))


Found = tuple[Module, ast.Call, int, int]


def _written(source: Source) -> Found | None:
    """A range whose step and end both stand in the source, the step beyond the end."""
    for module in source:
        for call in module.calls("range"):
            if len(call.args) != 3:
                continue
            stop, step = (next(iter(literals(source, module, argument)), None) for argument in call.args[1:])
            if stop is not None and step is not None and step.value > stop.value > 1:
                return module, call, int(step.value), int(stop.value)
    return None


def _cut(record: Record, source: Source, entry: Progress) -> Found | None:
    """The loop over batches cuts larger ones than any that came: each was all there is."""
    loss, largest = loss_site(record, entry), _largest(record, entry)
    if loss is None:
        return None
    for module, loop in cutting_loops(source, loss.file, loss.line):
        for call in ast.walk(loop.iter) if isinstance(loop, ast.For) else ():
            if not isinstance(call, ast.Call):
                continue
            name = module.dotted(call.func)
            method = name.startswith("?.") and name.endswith(".split") and len(call.args) == 1
            size = call.args[2] if name == "range" and len(call.args) == 3 else call.args[0] if method else None
            size = call.args[1] if name == "torch.split" and len(call.args) == 2 else size
            known = next(iter(literals(source, module, size)), None) if size is not None else None
            if known is not None and known.value > largest > 1:
                return module, call, int(known.value), int(largest)
    return None


def _largest(record: Record, entry: Progress) -> int:
    """The largest number of samples the loss was ever taken of; for one by hand, of how many values its mean is."""
    mine = record.calls.get(entry.call) if entry.call is not None else None
    if mine is not None:
        alike = [row for row in record.calls.values() if row.get("site") == mine.get("site") and row.get("grad")]
        shapes = [(row.get("output") or {}).get("shape") or [0] for row in alike]
        return max((shape[0] for shape in shapes), default=0)
    heads = [row["head"][0] for row in entry.objective.graphs if row.get("head")]
    means = [given[0] for name, _, given in heads if name.startswith("Mean") and given and given[0]]
    return max((math.prod(shape) for shape in means), default=0)


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A batch that makes many steps an epoch."""
    words = "use a batch that leaves at least ten steps an epoch (16 to 128 for small data)"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if site is None or module is None or not isinstance(finding.subject, tuple):
        return [Remedy(words, "changes-training")]
    large, samples = finding.subject
    batch = 2 ** int(math.log2(min(MOST, max(LEAST, samples / STEPS))))
    for call in ast.walk(module.tree):
        if not isinstance(call, ast.Call) or call.lineno != site.line:
            continue
        loader = module.dotted(call.func).rpartition(".")[2] == "DataLoader"
        size = argument(call, 1, "batch_size") if loader else call.args[-1] if call.args else None
        if size is None:
            continue
        for found in literals(source, module, size):
            if found.value == large:
                title = f"use a batch of {batch}: {samples // batch} steps an epoch"
                return [Remedy(title, "changes-training", (found.module.replace(found.node, str(batch)),))]
        return [Remedy(words, "changes-training", (module.replace(size, str(batch)),))]
    return [Remedy(words, "changes-training")]


CONDITION = Condition(
    "batch-larger-than-data",
    "warning",
    needs=("loaders", "objective"),
    in_run=in_run,
    remedies=remedies,
    explains=("uninformative-labels", "lr-too-low", "missing-step"),
)
