"""Batch norm takes its moments from one or two samples.

## What happens
In training mode batch norm subtracts the mean of the batch and divides by its standard deviation. Of one sample that
leaves zero: torch refuses ("Expected more than 1 value per channel when training"), often only at the last batch of an
epoch, when the length of the data leaves a remainder of one. Of two samples every output is +1 or -1, or close to it,
whatever the input was: nearly all information is gone, the loss is noisy and high, and the running statistics that
evaluation uses fit none of it.

## How it is told apart
Decided on the batches that batch norm was given in train mode, by the graph, or on torch's exception.
- `batch-norm-eval-gap`: batches are large enough, and the running statistics do not match for another reason.
- `lr-too-high`: a noisy loss, whatever the batch. `unshuffled-data`: the batch is of one class.
Not this: layer, group or instance norm; batch norm over large maps of a few images, where the run does well; batch norm
in evaluation mode, frozen on purpose.

## Remedy
A larger batch; where memory forbids it, a norm that looks at each sample by itself:

    nn.BatchNorm1d(64)  ->  nn.LayerNorm(64)
    nn.BatchNorm2d(64)  ->  nn.GroupNorm(8, 64)

A remainder of one is dropped with `DataLoader(..., drop_last=True)`. Accumulating gradients does not help: the moments
are still those of the small batch.

## Sources
- PyTorch, BatchNorm1d, https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
- PyTorch, GroupNorm, https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html
- Y. Wu, K. He, Group Normalization, https://arxiv.org/abs/1803.08494 [error of batch norm by batch size]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Record, Site
from ...record.feeds import loaders
from ...record.record import number
from ...source import Source
from ...source.flow import Point
from ...source.loading import keyword, loader_call, loader_calls
from ...source.loss import argument
from ...source.numbers import literals
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, judged, site_at, site_of, standing

MESSAGE = "Expected more than 1 value per channel when training"
LAYERS = tuple(f"torch.nn.{name}" for name in ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"))


def in_run(
    record: Record,
    source: Source,
    *,
    max_samples: float = 2.0,  # of two, normalising leaves +1 and -1: by the formula
    max_values: float = 32.0,  # a channel: many pixels of two images have moments that mean something
    bad_skill: float = 0.8,  # a run with large maps that learns better than that is content with its norms
) -> Answer:
    """Batch norm in train mode gets one or two samples at most steps, or torch refused it one."""
    error = record.exception
    if error is not None and MESSAGE in str(error.get("text")):
        shape = str(error.get("text")).strip().splitlines()[0][-60:]
        evidence = Evidence(f"torch refused at step {error.get('step')}: {shape}", "exception", 1.0, 2.0)
        yield Finding(_site(record, source), (evidence, *_remainder(record)), 0.97, subject="remainder")
        return
    rows = record.rows("norm")
    if not rows:
        if not record.rows("graph"):
            yield NotEvaluated("no graph was seen")
        return
    samples, values = float(np.median(rows.column("samples"))), float(np.median(rows.column("values")))
    if len(rows) < 4 or samples > max_samples:
        return
    entries = judged(record)
    poor = bool(entries) and fails(entries[0], bad_skill)
    if values > max_values and not poor:
        return
    text = f"batch norm in train mode takes its moments from {samples:.0f} samples, {values:.0f} values a channel"
    found = [Evidence(text, "norm_samples", samples, 16.0)]
    if entries:
        found.append(Evidence(f"the {standing(entries[0])}", "objective", entries[0].last, entries[0].baseline))
    yield Finding(_site(record, source), tuple(found), 0.9)


def _remainder(record: Record) -> tuple[Evidence, ...]:
    for loader in loaders(record):
        size, samples = loader.row.get("batch_size"), loader.samples
        if size and samples and samples % int(size) == 1 and not loader.row.get("drop_last"):
            text = f"{samples} samples in batches of {size} leave a last batch of one"
            return (Evidence(text, "loaders", float(samples % int(size)), float(size)),)
    return ()


def _site(record: Record, source: Source) -> Site | None:
    """Where the training loader is built; else the first batch norm of the model."""
    known = loaders(record)
    for loader in [each for each in known if each.trained] or [each for each in known if each.backed]:
        point = loader_call(source, loader.site.file, loader.site.line) if loader.site is not None else None
        if point is not None:
            return _sized(source, point) or site_of(point)
    calls = loader_calls(source)
    if known and calls:
        return site_of(calls[0])
    for module in source:
        for call in module.calls(*LAYERS):
            return site_at(module, call)
    return None


def _sized(source: Source, point: Point) -> Site | None:
    """Where the size of the loader's batches stands as a number of one or two."""
    if not isinstance(point.node, ast.Call):
        return None
    size = argument(point.node, 1, "batch_size")
    found = next(iter(literals(source, point.module, size)), None) if size is not None else None
    return site_at(found.module, found.node) if found is not None and found.value <= 2 else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Drop the remainder; a larger batch; another norm."""
    module = source.module(finding.site.file) if finding.site is not None else None
    for call in module.calls("torch.utils.data.DataLoader", "DataLoader") if module is not None else ():
        if finding.site is None or module is None or call.lineno != finding.site.line:
            continue
        if finding.subject == "remainder" and keyword(call, "drop_last") is None:
            last = [*call.args, *[each.value for each in call.keywords]][-1]
            edit = module.replace(last, f"{module.segment(last)}, drop_last=True")
            return [Remedy("drop the last, incomplete batch of training", "changes-training", (edit,))]
        size = keyword(call, "batch_size") or (call.args[1] if len(call.args) > 1 else None)
        if isinstance(size, ast.Constant) and number(size.value) <= 2:
            edit = module.replace(size, "32")
            return [Remedy("train on larger batches", "changes-training", (edit,))]
    return [
        Remedy("train on larger batches (16 or more)", "changes-training"),
        Remedy("or replace batch norm: nn.LayerNorm after linear layers, nn.GroupNorm after convolutions", "advice"),
    ]


CONDITION = Condition(
    "batch-of-one-norm",
    "error",
    needs=("norm_samples", "graph", "exception", "objective", "loaders", "loader_feeds"),
    in_run=in_run,
    remedies=remedies,
    explains=(
        "batch-norm-eval-gap",
        "lr-too-high",
        "lr-too-low",
        "uninformative-labels",
        "dead-relu",
        "shape-mismatch",
    ),
)
