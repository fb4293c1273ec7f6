"""Recurrent state is carried across batches with its graph.

## What happens
The state that a recurrent net returns is part of the graph of its batch. Handed on to the next batch as it is, the
next backward runs through both. The first graph has freed what it kept, so torch raises `Trying to backward through
the graph a second time`. The advice that the message gives, `retain_graph=True`, makes it worse: now every backward
runs through all batches so far; time and memory grow with every step until memory ends, or, as the optimizer has
changed the weights since, torch raises `one of the variables needed for gradient computation has been modified by an
inplace operation`.

## How it is told apart
Decided on the exception or on the number of operations in the loss's graph, which grows with the step, together with a
name in the source that a loop both gives to the model and takes from it, with no detach() between.
- `leaking-graph`: losses are kept, graphs do not grow into each other: the size of one graph is constant.
- `inplace-error`: within one step. `out-of-memory`: where this ends.
Not this: a state that is detached, made anew for each batch, or kept within one sequence (truncated back-propagation
through time, decoding loops, meta-learning, unrolled solvers), which ends with the batch.

## Remedy
    hidden = hidden.detach()                         # an LSTM: tuple(h.detach() for h in hidden)
    out, hidden = model(x, hidden)
    loss.backward()                                  # without retain_graph

## Sources
- PyTorch examples, word_language_model: repackage_hidden detaches the state from its history,
  https://github.com/pytorch/examples/blob/main/word_language_model/main.py
- PyTorch, Tensor.backward: retain_graph, https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record
from ...source import Edit, Module, Source
from ...source.program.kinds import WEIGHTED, applied, is_cut, is_module, layer_name, settled, within
from ...source.program.queries import backward_of, entries
from ...source.program.values import Carried, Either
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import crash_site
from ..questions import site_at, site_of_event

AGAIN = "backward through the graph a second time"
MODIFIED = "modified by an inplace operation"
CUTS = ("detach", "detach_", "item", "repackage_hidden", "repackage", "data", "no_grad")


def in_run(
    record: Record,
    source: Source,
    *,
    min_samples: int = 5,  # graphs looked at: growth over fewer may be one of padding
    min_growth: float = 3.0,  # last graph in units of the first; variable lengths stay within a factor of 2
) -> Answer:
    """Each batch's graph contains those of the batches before."""
    error = record.exception
    text = str(error.get("text")) if error is not None else ""
    if AGAIN in text or MODIFIED in text:
        crashed = crash_site(record)
        state = _carried(source, crashed.file if crashed is not None else None)
        if state is None or (MODIFIED in text and not _retains(state[0])):
            return
        words = f"{state[2]} goes from one pass of the loop into the next with its graph; torch raised: {text[:80]}"
        yield Finding(site_at(state[0], state[1]), (Evidence(words, "exception"),), 0.93, subject=state[2])
        return
    rows = record.rows("size")
    if not rows:
        yield NotEvaluated("no graph was seen")
        return
    for site in dict.fromkeys(row.get("site") for row in rows):
        nodes = record.rows("size", site=site).column("nodes")
        if len(nodes) < min_samples or not nodes[0] > 0:
            continue
        rising = float(np.mean(np.diff(nodes[:12]) > 0)) if len(nodes) > 1 else 0.0
        state = _carried(source, None)
        if nodes.max() < min_growth * nodes[0] or rising < 0.6 or state is None:
            continue
        words = (
            f"the graph of one loss grows from {nodes[0]:.0f} operations to {nodes.max():.0f}: {state[2]} goes from "
            "one pass of the loop into the next with its graph"
        )
        evidence = Evidence(words, "graph_size", float(nodes.max()), float(nodes[0]))
        yield Finding(site_at(state[0], state[1]), (evidence,), 0.95, subject=state[2])
        return


def _retains(module: Module) -> bool:
    return any(
        keyword.arg == "retain_graph" and getattr(keyword.value, "value", None) is True
        for call in module.calls("?.backward", "torch.autograd.backward")
        for keyword in call.keywords
    )


def _carried(source: Source, file: str | None) -> tuple[Module, ast.Assign, str] | None:
    """(file, statement, name) of `out, state = model(x, state)` in a loop with a backward and no cut of the name."""
    for module in sorted(source, key=lambda each: each.file != file):
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Assign):
                continue
            calls = [part for part in ast.walk(node.value) if isinstance(part, ast.Call)]  # h = a * h + tanh(cell(h))
            stored = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            stored |= {_attribute(n) for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Attribute)}
            given = [part for call in calls for part in (*call.args, *(k.value for k in call.keywords))]
            loaded = {n.id for g in given for n in ast.walk(g) if isinstance(n, ast.Name)}
            loaded |= {_attribute(n) for g in given for n in ast.walk(g) if isinstance(n, ast.Attribute)}
            for name in sorted((stored & loaded) - {""}):
                if _crosses(module, node, name) and not _cut(module, node, name):
                    return module, node, name
    return None


def _attribute(node: ast.Attribute) -> str:
    """`self.hidden` as a name of its own."""
    return f"self.{node.attr}" if isinstance(node.value, ast.Name) and node.value.id == "self" else ""


def _crosses(module: Module, statement: ast.Assign, name: str) -> bool:
    """Whether the loop around has a backward, and the name is not made anew in it; an attribute outlives any call."""
    if name.startswith("self."):
        return module.enclosing(statement, ast.ClassDef) is not None
    loop = module.enclosing(statement, ast.For, ast.While)
    while isinstance(loop, (ast.For, ast.While)):
        if any(isinstance(n, ast.Attribute) and n.attr == "backward" for n in ast.walk(loop)):
            return not _renewed(loop, statement, name)
        loop = module.enclosing(loop, ast.For, ast.While)
    return False


def _renewed(loop: ast.AST, statement: ast.Assign, name: str) -> bool:
    """Whether the loop gives the name a value before the statement that does not come from the name."""
    for node in ast.walk(loop):
        if isinstance(node, ast.Assign) and node.lineno < statement.lineno:
            targets = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            values = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
            if name in targets and name not in values:
                return True
    return False


def _cut(module: Module, statement: ast.Assign, name: str) -> bool:
    """Whether the state is detached anywhere, by a method or a function of the script that does."""
    leaf = name.removeprefix("self.")
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        last = module.dotted(node.func).rpartition(".")[2]
        inside = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        inside |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
        if leaf in inside and (last in CUTS or _detaches(module, last)):
            return True
        outer = module.enclosing(node, ast.ListComp, ast.GeneratorExp)
        if last in CUTS and outer is not None and leaf in {n.id for n in ast.walk(outer) if isinstance(n, ast.Name)}:
            return True
    return False


def _detaches(module: Module, name: str) -> bool:
    """Whether a function of the script has a detach in it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return any(isinstance(n, ast.Attribute) and n.attr in CUTS for n in ast.walk(node))
    return False


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A detach in front of the call, for a tensor as for a tuple; no retained graph."""
    title = "detach the state before the next batch uses it, and do not retain the graph"
    module = source.module(finding.site.file) if finding.site is not None else None
    statement = module.statement_at(finding.site.line) if module is not None and finding.site is not None else None
    name = finding.subject
    if module is None or statement is None or not isinstance(name, str):
        return [Remedy(title, "changes-training")]
    pieces = f"tuple(part.detach() for part in {name})"
    text = f"{name} = None if {name} is None else {pieces} if isinstance({name}, tuple) else {name}.detach()"
    edits: list[Edit] = [module.insert_before(statement, text)]
    for call in module.calls("?.backward"):
        for keyword in call.keywords:
            if keyword.arg == "retain_graph":
                edits.append(module.replace(keyword.value, "False"))
    return [Remedy(title, "changes-training", tuple(edits))]


def in_source(source: Source) -> Iterator[Finding]:
    """A model is given what it returned in the round before, with its graph, and each round has its own backward()."""
    seen: set[int] = set()
    for entry in entries(source):
        for place in entry.places:
            event, loop = place.event, place.loop
            fn = settled(event.fn)
            if event.name != "call" or event.grad is not True or loop is None or fn is None or not is_module(fn):
                continue
            made = {id(each) for each in applied(event.result) if layer_name(each.fn) in WEIGHTED}
            for given in (*event.args, *event.kwargs.values()):
                if (
                    id(loop) in seen
                    or not isinstance(given, Carried)
                    or given.loop is not loop
                    or not _returns(given, made)
                ):
                    continue
                direct = [p for p in entry.calls("backward") if p.loop is loop]
                if any(id(each) in made for p in direct for each in within(backward_of(p.event))):
                    seen.add(id(loop))
                    text = (
                        f"{given.name} comes from the round before with its graph, which backward() has freed by then"
                    )
                    yield Finding(site_of_event(event), (Evidence(text),), 0.93, subject=given.name)


def _returns(carried: Carried, made: set[int]) -> bool:
    """Whether the model's output comes back under the name, and nothing cuts it off on the way."""
    parts = list(within(carried.left, stop=lambda each: is_cut(each) or isinstance(each, Either)))
    chosen = isinstance(carried.left, Either)
    return not chosen and any(id(each) in made for each in parts) and any(each is carried for each in parts)


CONDITION = Condition(
    "undetached-hidden-state",
    "error",
    needs=("graph_size", "exception"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("inplace-error",),
)
