"""Re-entrant gradient checkpointing around a block whose inputs need no gradient.

## What happens
`checkpoint(block, x, use_reentrant=True)` runs the block without a graph and puts one node in its place, whose inputs
are the arguments. If none of them requires grad (the first block of a network, fed with data; a body behind a frozen
embedding) the node has nothing to pass on: the output needs no gradient, and the parameters inside the block, which are
no arguments, get none. torch warns `None of the inputs have requires_grad=True. Gradients will be None` once, among
the other output, and the block stays at its random start while the rest learns around it.

## How it is told apart
Decided on parameters that an optimizer holds, that need a gradient, never get one and never change, with a re-entrant
checkpoint in the source and no trace of it in the graph.
- `unused-parameters`: the block is never called. `frozen-parameters`: requires_grad is False.
- `detached-loss`: a cut that somebody wrote; here checkpoint makes it.
Not this: checkpoints with use_reentrant=False; re-entrant ones further inside, whose inputs need a gradient; inputs
that were given `requires_grad_()` for it.

## Remedy
Use the variant that builds an ordinary graph; it needs nothing of its inputs.

    x = checkpoint(self.block, x, use_reentrant=False)

## Sources
- PyTorch, torch.utils.checkpoint: the re-entrant variant needs an input and an output with requires_grad=True,
  https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record
from ...record.record import number
from ...source import Module, Source
from ...source.program import Value
from ...source.program.kinds import constructor, within
from ...source.program.queries import called, entries
from ...source.program.tensors import is_plain
from ...source.program.values import Attr, Const, Element, External, Instance, Mapping
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import listed
from ..questions import site_at, site_of_event

NAMES = (
    "torch.utils.checkpoint.checkpoint",
    "torch.utils.checkpoint.checkpoint_sequential",
    "?.gradient_checkpointing_enable",
)
NO_GRAPH = "does not require grad and does not have a grad_fn"


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 3,  # steps without a gradient: the first may be a dry run
) -> Answer:
    """Parameters inside a checkpointed block never get a gradient."""
    calls = _reentrant(source)
    error = record.exception
    if calls and error is not None and NO_GRAPH in str(error.get("text")):
        text = "backward() found nothing that needs a gradient: the checkpointed block passed none on (torch raised)"
        yield Finding(site_at(*calls[0]), (Evidence(text, "exception"),), 0.9)
        return
    if not record.optimizers:
        yield NotEvaluated("no optimizer was seen")
        return
    if not calls:
        return
    last = {row.get("opt"): row for row in record.rows("idle")}
    reached = {leaf for objective in record.objectives for leaf in objective.leaves}
    for optimizer in record.optimizers:
        row = last.get(optimizer.number)
        if row is None or optimizer.steps < min_steps:
            continue
        idle = [n for n in row.get("params") or [] if n in record.parameters and n not in reached]
        if not idle:
            continue
        names = [record.parameters[n].name for n in idle]
        call = _of_block(calls, names)
        text = (
            f"{len(idle)} parameters ({number(row.get('elements')):,.0f} elements: {listed(names)}) never get a "
            f"gradient in {optimizer.steps} steps; the block is run by a re-entrant checkpoint whose inputs need none"
        )
        evidence = Evidence(text, "idle_parameters", float(len(idle)), 0.0)
        yield Finding(site_at(*call), (evidence,), 0.94, layer=record.parameters[idle[0]].layer)
        return


def _reentrant(source: Source) -> list[tuple[Module, ast.Call]]:
    """Checkpoints that are re-entrant: said so, or not said otherwise."""
    found = []
    for module in source:
        for call in module.calls(*NAMES):
            values = [k.value for k in call.keywords if k.arg == "use_reentrant"]
            if not values or not (isinstance(values[0], ast.Constant) and values[0].value is False):
                found.append((module, call))
    return found


def _of_block(calls: list[tuple[Module, ast.Call]], names: list[str]) -> tuple[Module, ast.Call]:
    """The call that names the block which holds the parameters, else the first."""
    parts = {part for name in names for part in name.split(".")}
    for module, call in calls:
        inside = {n.attr for n in ast.walk(call) if isinstance(n, ast.Attribute)}
        if parts & inside:
            return module, call
    return calls[0]


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """use_reentrant=False at the call."""
    title = "use the variant that is not re-entrant: use_reentrant=False"
    module = source.module(finding.site.file) if finding.site is not None else None
    if module is None or finding.site is None:
        return [Remedy(title, "safe")]
    for each, call in _reentrant(source):
        if each is not module or call.lineno != finding.site.line or not call.args:
            continue
        for keyword in call.keywords:
            if keyword.arg == "use_reentrant":
                return [Remedy(title, "safe", (module.replace(keyword.value, "False"),))]
        last = call.keywords[-1].value if call.keywords else call.args[-1]
        return [Remedy(title, "safe", (module.replace(last, f"{module.segment(last)}, use_reentrant=False"),))]
    return [Remedy(title, "safe")]


def in_source(source: Source) -> Iterator[Finding]:
    """A re-entrant checkpoint around layers, none of whose inputs comes from a layer or asks for gradients."""
    for entry in entries(source):
        for place in entry.calls("checkpoint", "checkpoint_sequential"):
            event = place.event
            mode = event.kwargs.get("use_reentrant")
            named = isinstance(event.fn, External) and event.fn.name.startswith("torch.utils.checkpoint.")
            if not named or not isinstance(mode, Const) or mode.value is not True or event.grad is not True:
                continue
            given = event.args[1:] if called(event) == "checkpoint" else event.args[2:]
            if given and all(_needs_none(each) for each in given):
                text = "re-entrant checkpoint of inputs that need no gradient: the layers inside get none"
                yield Finding(site_of_event(event), (Evidence(text),), 0.93)


def _needs_none(value: Value) -> bool:
    parts = list(within(value))
    asks = any(isinstance(each, Attr) and each.name in ("requires_grad", "requires_grad_") for each in parts)
    data = any(isinstance(each, Element) or constructor(each).startswith("torch.rand") for each in parts)
    return data and not asks and all(is_plain(each) for each in parts if not _is_data(each))


def _is_data(value: Value) -> bool:
    return isinstance(value, (Instance, Mapping)) or type(value) is Value


CONDITION = Condition(
    "reentrant-checkpoint",
    "error",
    needs=("idle_parameters", "graph", "parameters", "optimizers", "exception"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("unused-parameters", "frozen-parameters", "detached-loss"),
)
