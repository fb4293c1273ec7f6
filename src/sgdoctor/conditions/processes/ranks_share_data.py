"""Every rank is fed with the same samples, or with its own in the same order in every epoch.

## What happens
Data-parallel training is worth its machines because each rank works on another part of the data. A DataLoader that
shuffles the whole data set in every process gives each rank all of it: with equal seeds they even see the same batches
at the same steps, their gradients are copies of each other, and N devices do the work of one; with different seeds an
epoch is N epochs, and schedules that count epochs are N times too slow. `DistributedSampler` splits the data. It
shuffles by its seed and its epoch number alone: without `sampler.set_epoch(epoch)` the order is the same in every
epoch, and batches always consist of the same samples.

## How it is told apart
Decided on fingerprints of the samples behind a step and of a loader's first pass, compared between ranks; and on the
epoch that the sampler itself was at when each pass began.
- `ranks-diverged`: weights differ; here they agree, or nearly.
- `unshuffled-data`: one process sees its data in the order of labels or time. `repeated-batch`: one batch for ever.
Not this: data split by hand, by an offset or a share for each rank; iterable data sets that skip by rank; random
batches drawn from a pool by other random numbers in each rank; the few samples that a sampler repeats to make shares
equal; validation on all ranks; models of their own on the same data.

## Remedy
    sampler = DistributedSampler(dataset)
    loader = DataLoader(dataset, batch_size, sampler=sampler)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for x, y in loader:
            ...

## Sources
- PyTorch, torch.utils.data.distributed.DistributedSampler, https://docs.pytorch.org/docs/stable/data.html
  [set_epoch at the beginning of each epoch, before the iterator is made; otherwise the same order is used always]
- PyTorch tutorials, Multi GPU training with DDP, https://docs.pytorch.org/tutorials/beginner/ddp_series_multigpu.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record, Row, Site
from ...record.feeds import Loader, loaders
from ...source import Edit, Module, Source
from ...source.flow import Point
from ...source.loading import keyword, loader_call
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_of
from ..replicas import Replicas, last_rows, unjudged


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 10,  # as everywhere: fewer say nothing
    min_batches: int = 3,  # first batches compared: one alone may be a warm-up that is made of a constant
    min_share: float = 0.9,  # of samples in common: a split has none but the few that make shares equal
) -> Answer:
    """The same samples in all ranks, or the same order in all epochs."""
    reason = unjudged(record, min_steps=min_steps)
    if reason is not None:
        yield reason
        return
    if not Replicas(record).exchanged:
        yield NotEvaluated("ranks exchange nothing: each may well train a model of its own")
        return
    trained = [loader for loader in loaders(record) if loader.backed]
    alike, compared = _batches(record)
    if compared >= min_batches and alike >= min_share * compared:
        text = f"of the first {compared} batches {alike} hold the same samples in all ranks: their gradients are copies"
        yield _of_loader(record, source, trained, Evidence(text, "portions", alike / compared, 0.0), 0.95)
        return
    for loader in trained:
        share, seen = _overlap(record, loader)
        if share >= min_share and seen >= min_batches and not last_rows(record, "pass").where(loader=loader.number):
            text = (
                f"{share:.0%} of the samples in one rank's first pass over the loader are in the other ranks' as well"
            )
            yield _of_loader(record, source, [loader], Evidence(text, "portions", share, 0.0), 0.85)
            return
    yield from _same_order(record, source, trained)


def _batches(record: Record) -> tuple[int, int]:
    """(batches that are the same in all ranks, batches compared) of the first ones behind each loss."""
    moments: dict[tuple[object, int], dict[int, Row]] = {}
    turns: dict[tuple[object, object], int] = {}
    for row in record.rows("portion"):
        if "rank" in row and "n" in row:
            # Lines are numbered in each rank for itself; of several losses with the same count the order tells.
            turn = turns[row["rank"], row["n"]] = turns.get((row["rank"], row["n"]), -1) + 1
            moments.setdefault((row["n"], turn), {})[row["rank"]] = row
    alike = compared = 0
    for by_rank in moments.values():
        if len(by_rank) < 2:
            continue
        compared += 1
        alike += any(_same([row.get(name) or [] for row in by_rank.values()]) for name in ("inputs", "targets"))
    return alike, compared


def _same(marks: list[list[int]]) -> bool:
    """The same samples, and telling ones: a batch of one value could be equal by chance."""
    return len(set(marks[0])) >= 4 and all(sorted(each) == sorted(marks[0]) for each in marks)


def _overlap(record: Record, loader: Loader) -> tuple[float, int]:
    """(share of samples in common, samples) of the first pass over a loader, in the smallest fingerprints of each."""
    sketches = {
        row["rank"]: row.get("rows") or [] for row in record.rows("share", loader=loader.number) if "rank" in row
    }
    if len(sketches) < 2 or not all(sketches.values()):
        return 0.0, 0
    size = min(len(each) for each in sketches.values())
    sets = [set(each[:size]) for each in sketches.values()]
    return len(set.intersection(*sets)) / size, size


def _of_loader(record: Record, source: Source, trained: list[Loader], evidence: Evidence, confidence: float) -> Finding:
    """At the call that builds the loader; at the line of the loss where batches are made by hand."""
    site = trained[0].site if trained else None
    if site is not None:
        built = loader_call(source, site.file, site.line)
        if built is not None:
            return Finding(site_of(built), (evidence,), confidence, subject=("sampler", site))
        return Finding(site, (evidence,), confidence)
    objective = record.objectives[0] if record.objectives else None
    return Finding(objective.site if objective else None, (evidence,), confidence)


def _same_order(record: Record, source: Source, trained: list[Loader]) -> Iterator[Finding]:
    for loader in trained:
        rows = last_rows(record, "pass").where(loader=loader.number, shuffle=True)
        epochs = [row.get("epoch") for row in rows]
        if len(epochs) < 2 or len(set(epochs)) != 1 or epochs[0] is None:
            continue
        text = (
            f"all {loader.passes} passes over the loader began with its DistributedSampler at epoch {epochs[0]}: the "
            "same order, and the same batches, every time"
        )
        evidence = Evidence(text, "portions", float(loader.passes), 1.0)
        yield Finding(loader.site, (evidence,), 0.95, subject=("epoch", loader.site))
        return


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A sampler for the loader, or its epoch told."""
    kind, site = finding.subject if isinstance(finding.subject, tuple) else (None, None)
    built = loader_call(source, site.file, site.line) if isinstance(site, Site) else None
    if kind == "epoch" and isinstance(site, Site):
        title = "call sampler.set_epoch(epoch) before every pass"
        return [Remedy(title, "changes-training", _tell_epoch(source, site, built))]
    title = "give the loader a DistributedSampler, and call its set_epoch(epoch) before every pass"
    edits = (*_give_sampler(built), *_tell_epoch(source, site, built)) if built is not None else ()
    return [Remedy(title, "changes-training", edits)]


def _give_sampler(built: Point) -> tuple[Edit, ...]:
    module, call = built.module, built.node
    if not isinstance(call, ast.Call) or not call.args or keyword(call, "batch_sampler") or keyword(call, "sampler"):
        return ()
    if len(call.args) > 2 or isinstance(call.args[0], ast.Starred):
        return ()
    name = _sampler_class(module)
    text = f"sampler={name}({module.segment(call.args[0])})"
    shuffle = next((each for each in call.keywords if each.arg == "shuffle"), None)
    if shuffle is not None:
        begin = Edit(module.file, *_start(module, shuffle), *module.span(shuffle.value)[2:], text)
        return (begin,)
    last = call.args[-1] if not call.keywords else call.keywords[-1].value
    _, _, line, column = module.span(last)
    return (Edit(module.file, line, column, line, column, f", {text}"),)


def _start(module: Module, node: ast.keyword) -> tuple[int, int]:
    line = module.lines[node.lineno - 1]
    return node.lineno, len(line.encode()[: node.col_offset].decode(errors="ignore"))


def _sampler_class(module: Module) -> str:
    bound = {path: local for local, path in module.names.items()}
    for path in ("torch.utils.data.DistributedSampler", "torch.utils.data.distributed.DistributedSampler"):
        if path in bound:
            return bound[path]
    if "torch.utils.data" in bound:
        return f"{bound['torch.utils.data']}.DistributedSampler"
    return f"{bound.get('torch', 'torch')}.utils.data.DistributedSampler"


def _tell_epoch(source: Source, site: object, built: Point | None) -> tuple[Edit, ...]:
    """`loader.sampler.set_epoch(epoch)` in front of the pass, where the loop of epochs is around it."""
    module = source.module(site.file) if isinstance(site, Site) else None
    if module is None or not isinstance(site, Site):
        return ()
    loop = next((n for n in ast.walk(module.tree) if isinstance(n, ast.For) and n.iter.lineno == site.line), None)
    if loop is None:
        return ()
    outer = module.enclosing(loop, ast.For, ast.While, ast.FunctionDef)
    iterated = loop.iter
    while isinstance(iterated, ast.Call) and iterated.args:  # enumerate(loader), tqdm(loader)
        iterated = iterated.args[0]
    if not isinstance(iterated, (ast.Name, ast.Attribute)):
        return ()
    name = module.segment(iterated)
    if isinstance(outer, ast.For) and isinstance(outer.target, ast.Name):
        return (module.insert_before(loop, f"{name}.sampler.set_epoch({outer.target.id})"),)
    if isinstance(outer, ast.FunctionDef):  # called once a pass: the sampler counts for itself
        return (module.insert_before(loop, f"{name}.sampler.set_epoch({name}.sampler.epoch + 1)"),)
    return ()


CONDITION = Condition(
    "ranks-share-data",
    "warning",
    needs=("ranks", "replicas", "portions", "wrappers", "loaders", "loader_feeds", "loader_batches", "graph"),
    in_run=in_run,
    remedies=remedies,
    explains=("overfitting",),
)
