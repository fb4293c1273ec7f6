"""The same batch is trained on at every step, while there are more data.

## What happens
`next(iter(loader))` makes a new iterator and takes its first batch. Inside the loop that is a new pass at every step;
without shuffling it is the same batch, and the other thousands of samples are never seen. Hand-made batches do the same
when the indices are drawn once before the loop, or the slice does not move with the step. The training loss falls
beautifully, to zero, as one batch is soon memorised; validation stays poor, and looks like overfitting.

## How it is told apart
Decided on fingerprints of the batches, and on how many batches the loader (or how many rows the data) would have had.
For batches drawn by hand: the targets of all sampled steps have the same moments, and the source shows an index that
stands still, or a function of the loop that sets its seed in front of each draw.
- `overfitting`: every sample is seen, again and again; `unshuffled-data`: all are seen, in a bad order.
- `batch-larger-than-data`: the one batch holds all the data. `constant-feature`: samples are alike within the batch.
Not this: `next(iter(loader))` of a loader that shuffles, which draws another batch each time; training on the whole
data
at once; one batch fetched before the loop to see whether the model can memorise it, with no validation beside it.

## Remedy
    for x, y in loader:                      # one pass
        ...
    batches = itertools.cycle(loader)        # or, for steps instead of epochs: made once, before the loop
    x, y = next(batches)

`cycle` keeps the first pass's batches; where the loader shuffles or the data are augmented, make a new `iter(loader)`
upon StopIteration instead.

## Sources
- PyTorch, torch.utils.data, https://docs.pytorch.org/docs/stable/data.html
  [the order of loading, iterators of a loader]
- Python, Built-in functions: iter and next, https://docs.python.org/3/library/functions.html#iter
- A. Karpathy, A Recipe for Training Neural Networks, https://karpathy.github.io/2019/04/25/recipe/
  [overfit one batch: the deliberate form of this]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Progress, Record, Site
from ...record.feeds import Loader, loaders, targets
from ...record.record import numbers
from ...source import Module, Source
from ...source.flow import Point
from ...source.loading import model_inputs
from ...source.loss import trails
from ...source.program import Value
from ...source.program.kinds import constructor, is_loader, settled
from ...source.program.queries import entries
from ...source.program.values import Call, Const
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import loss_site, site_at, site_of_event

SEEDS = ("manual_seed", "default_rng", "seed", "RandomState", "Random")
DRAWS = ("randperm", "permutation", "randint", "choice", "sample", "integers", "multinomial")


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 20,  # on one batch: fewer are a warm-up, a smoke test, a sanity check
) -> Answer:
    """One fingerprint at every step, of a loader or of data that hold more."""
    entries = [Progress(record, objective) for objective in record.objectives if objective.count >= min_steps]
    if not entries:
        yield NotEvaluated(f"no loss was backpropagated {min_steps} times")
        return
    known = loaders(record)
    for loader in known:
        text = _restarted(loader, min_steps) or _fetched_once(record, loader, entries[0], known)
        if text is not None:
            held = any(other.number != loader.number and not other.trained for other in known)
            severity = None if loader.passes >= min_steps or held else "info"
            evidence = Evidence(text, "loader_batches", 1.0, float(loader.length or 0))
            yield Finding(loader.site, (evidence, _seen(entries[0])), 0.95, severity=severity)  # type: ignore[arg-type]
            return
    if not any(loader.trained or loader.backed for loader in known):
        yield from _by_hand(record, source, entries[0])


def _seen(entry: Progress) -> Evidence:
    text = f"on it the loss went {entry.first:.4g} -> {entry.last:.4g} in {entry.count} steps"
    return Evidence(text, "objective", entry.last, entry.first)


def _restarted(loader: Loader, min_steps: int) -> str | None:
    """A new pass at every step, of which only the first batch is taken, and that is always the same."""
    length = loader.length
    if length is None or length < 2 or loader.passes < min_steps or not loader.backed:
        return None
    if loader.batches > 1.05 * loader.passes + 1 or loader.backed * 2 < loader.passes:
        return None
    marks = loader.marks(0)
    if len(marks) < 3 or any(mark[-1:] != marks[0][-1:] or not mark for mark in marks):
        return None
    return (
        f"{loader.passes} passes over the loader were begun and {loader.batches} batches taken: always the first of "
        f"{length}, with the same fingerprint"
    )


def _fetched_once(record: Record, loader: Loader, entry: Progress, known: list[Loader]) -> str | None:
    """One batch taken before the loop, and trained on again and again."""
    length = loader.length
    if length is None or length < 2 or loader.batches != 1 or not loader.backed or not _same_targets(record, entry):
        return None
    if any(other.trained and other.number != loader.number for other in known):
        return None
    return f"one batch of the loader's {length} was taken, and all {entry.count} steps were made on it"


def _same_targets(record: Record, entry: Progress) -> bool:
    call = record.calls.get(entry.call) if entry.call is not None else None
    mean, std = targets(record, (call or {}).get("site"))
    if len(mean) < 8 or not (np.isfinite(mean) & np.isfinite(std)).all():
        return False
    return len(set(mean)) == 1 and len(set(std)) == 1 and bool(std[0] > 0)


def _same_inputs(record: Record, entry: Progress) -> bool:
    rows = [numbers(row.get("mean")) for row in record.rows("features", site=entry.objective.number)]
    if len(rows) < 6 or len({len(row) for row in rows}) != 1 or not len(rows[0]):
        return False
    return all(np.array_equal(row, rows[0]) for row in rows)


def _by_hand(record: Record, source: Source, entry: Progress) -> Answer:
    """A slice that does not move, or indices drawn before the loop."""
    loss = loss_site(record, entry)
    if loss is None or not _same_targets(record, entry):
        return
    again = _drawn_again(source, loss)
    if again is not None:
        site, text = again
        evidence = Evidence(f"the targets of every sampled step have the same moments: {text}", "label_recall")
        yield Finding(site, (evidence, _seen(entry)), 0.93, subject=text)
        return
    if not _same_inputs(record, entry):
        return
    outputs, compared = trails(source, loss.file, loss.line)
    backward = entry.objective.site or loss
    called = model_inputs(source, backward.file, backward.line) if not outputs else []
    for point in [*compared, *outputs, *called]:
        found = _fixed_index(point, loss)
        if found is not None:
            place, text = found
            size = (record.calls.get(entry.call or 0, {}).get("target") or {}).get("shape") or [0]
            evidence = Evidence(f"every sampled step has the same {size[0]} targets and inputs: {text}", "loss_values")
            yield Finding(place, (evidence, _seen(entry)), 0.9, subject=text)
            return


def _drawn_again(source: Source, loss: Site) -> tuple[Site, str] | None:
    """A draw in a function of the loop, in front of which the same function sets its seed: the same at every call."""
    module = source.module(loss.file)
    loop = module.loop_at(loss.line) if module is not None else None
    # Data drawn once, before the loop, are the same at each step by right: all of them.
    called = {
        module.dotted(node.func).rpartition(".")[2]
        for node in (ast.walk(loop) if loop is not None else ())
        if module is not None and isinstance(node, ast.Call)
    }
    for point in trails(source, loss.file, loss.line)[1]:
        function = point.module.enclosing(point.node, ast.FunctionDef)
        if not isinstance(function, ast.FunctionDef) or function.name not in called:
            continue
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        drawn = [call for call in calls if point.module.dotted(call.func).rpartition(".")[2] in DRAWS]
        for call in calls:
            seeds = point.module.dotted(call.func).rpartition(".")[2] in SEEDS and call.args
            if seeds and any(draw.lineno >= call.lineno for draw in drawn) and _is_constant(call.args[0]):
                text = f"`{point.module.segment(call)}` makes each draw behind it the first one again"
                return site_at(point.module, call), text
    return None


def _is_constant(seed: ast.expr) -> bool:
    """A number, or a name for one: a seed that is computed may move."""
    return isinstance(seed, (ast.Constant, ast.Name, ast.Attribute))


def _fixed_index(point: Point, loss: Site) -> tuple[Site, str] | None:
    """An index of a subscript in the training loop that nothing in the loop changes."""
    module, node = point.module, point.node
    if not isinstance(node, ast.Subscript) or module.file != loss.file:
        return None
    loop = module.enclosing(node, ast.For, ast.While)
    if loop is None:
        return None
    # Loops outside of this one count too: an epoch's loop may move the index.
    changed: set[str] = set()
    outer: ast.AST | None = loop
    while outer is not None:
        changed |= _assigned(outer)
        outer = module.enclosing(outer, ast.For, ast.While)
    index = node.slice
    names = {each.id for each in ast.walk(index) if isinstance(each, ast.Name)}
    if names & changed or any(isinstance(each, ast.Call) for each in ast.walk(index)):
        return None
    if isinstance(index, ast.Slice):
        if index.lower is None and index.upper is None:
            return None
        return site_at(module, node), f"`{module.segment(node)}` does not move with the step"
    if isinstance(index, ast.Name):
        drawn = _drawn(module, index.id, node.lineno)
        if drawn is not None:
            return site_at(module, drawn), f"`{index.id}` is drawn once, before the loop"
    return None


def _assigned(loop: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(loop):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _drawn(module: Module, name: str, before: int) -> ast.stmt | None:
    """The last assignment of a random draw to a name; a part of all rows, as a permutation alone is all of them."""
    best: ast.stmt | None = None
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Assign) or node.lineno >= before:
            continue
        if not any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
            continue
        calls = [
            module.dotted(each.func).rpartition(".")[2] for each in ast.walk(node.value) if isinstance(each, ast.Call)
        ]
        cut = isinstance(node.value, ast.Subscript) or any(call in DRAWS[2:] for call in calls)
        best = node if any(call in DRAWS for call in calls) and cut else None
    return best


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Another batch at each step."""
    advice = Remedy("iterate over the loader (or draw new indices) in every step", "advice")
    module = source.module(finding.site.file) if finding.site is not None else None
    if module is None or finding.site is None:
        return [advice]
    statement = module.statement_at(finding.site.line)
    for call in module.calls("next", within=statement) if statement is not None else ():
        inner = call.args[0] if call.args else None
        loop = module.enclosing(call, ast.For, ast.While)
        if (
            isinstance(inner, ast.Call)
            and module.dotted(inner.func) == "iter"
            and inner.args
            and isinstance(loop, ast.stmt)
        ):
            name = "batches"
            while name in module.text:
                name += "_"
            loader = module.segment(inner.args[0])
            edits = (
                module.insert_before(loop, f"{name} = (batch for _ in iter(int, 1) for batch in {loader})"),
                module.replace(inner, name),
            )
            return [Remedy("take the next batch of one pass after the other", "changes-training", edits)]
    if isinstance(statement, ast.Assign) and "drawn once" in str(finding.subject):
        loop = next(
            (n for n in ast.walk(module.tree) if isinstance(n, (ast.For, ast.While)) and _uses(n, statement)), None
        )
        if loop is not None and loop.body and statement.lineno == statement.end_lineno:
            edits = (module.insert_before(loop.body[0], module.segment(statement)), module.delete(statement))
            return [Remedy("draw new indices in every step", "changes-training", edits)]
    return [advice]


def _uses(loop: ast.AST, statement: ast.Assign) -> bool:
    target = statement.targets[0]
    inner = any(isinstance(node, (ast.For, ast.While)) and node is not loop for node in ast.walk(loop))
    names = {node.id for node in ast.walk(loop) if isinstance(node, ast.Name)}
    return isinstance(target, ast.Name) and target.id in names and not inner and loop.lineno > statement.lineno  # type: ignore[attr-defined]


def in_source(source: Source) -> Iterator[Finding]:
    """Each round of a training loop begins the same loader anew, which does not shuffle."""
    for entry in entries(source):
        for place in entry.calls("next"):
            begun = settled(place.event.args[0]) if place.event.args else None
            if not isinstance(begun, Call) or constructor(begun) != "iter" or not begun.args or place.loop is None:
                continue
            loader = settled(begun.args[0])
            anew = any(p.event.result is begun and place.loop in p.around for p in entry.calls("iter"))
            backward = any(place.loop is p.loop for p in entry.calls("backward")) and place.event.grad is not False
            if not isinstance(loader, Call) or not is_loader(loader) or not anew or not backward:
                continue
            order = [loader.argument(i, word) for i, word in ((2, "shuffle"), (3, "sampler"), (4, "batch_sampler"))]
            shuffled = order[0] is not None and not (isinstance(order[0], Const) and not order[0].value)
            data = loader.argument(0, "dataset")
            if not shuffled and order[1:] == [None, None] and _is_fixed(data):
                text = "next(iter(loader)) begins anew each round, without shuffling: always the first batch"
                yield Finding(site_of_event(place.event), (Evidence(text),), 0.93)


def _is_fixed(data: Value | None) -> bool:
    """Whether the data give the same samples each time, as far as is to be seen."""
    name = constructor(data)
    return name.startswith("torch.utils.data.") and "Iterable" not in name


CONDITION = Condition(
    "repeated-batch",
    "error",
    needs=("loader_batches", "loader_feeds", "loaders", "loss_values", "features", "objective", "label_recall"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    flatters=True,
    explains=("overfitting", "class-imbalance", "constant-lr-plateau"),
)
