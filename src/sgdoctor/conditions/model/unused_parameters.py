"""Trainable parameters are never reached by the loss.

## What happens
A layer is made in `__init__`, its parameters are given to the optimizer, and forward never calls it, or calls it and
drops the result: `h = self.fc1(x); h = self.fc2(x)` where `self.fc2(h)` was meant, a branch that is computed and left
out of the sum, blocks of a ModuleList of which only the last is used. No gradient ever comes, `.grad` stays None, the
optimizer passes it over in silence. The network that trains is smaller or shallower than the one that was written.
Distributed training stops with `Expected to have finished reduction in the prior iteration`.

## How it is told apart
Decided on parameters that an optimizer holds, whose gradient is None at every sampled step, which nothing has changed
since the first, and which no graph of any phase contains; the source shows that forward mentions or forgets the layer.
- `detached-loss`: the layer is called and its output cut off; the line of the cut leads, this follows.
- `frozen-parameters`: requires_grad is False. `reentrant-checkpoint`: reached, but the block runs without gradient.
- `unregistered-parameters`, `parameters-not-in-optimizer`: reached, but not held.
Not this: heads used in another phase or for another task, experts that wait for their turn, methods of the model that
this script does not call (a sampler, a classifier of a pre-training model): the source mentions them elsewhere.

## Remedy
Connect it, or take it out.

    h = torch.relu(self.fc1(x))
    return self.fc2(h)                               # was self.fc2(x): fc1 took no part

## Sources
- PyTorch, DistributedDataParallel: find_unused_parameters,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
- PyTorch, Autograd mechanics: gradients flow along the graph of what was computed,
  https://docs.pytorch.org/docs/stable/notes/autograd.html
"""

from __future__ import annotations

import ast

from ...record import Record, Site
from ...record.record import number
from ...source import Edit, Module, Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import listed
from ..questions import site_at


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 20,  # a part that is trained in turns has had its turn in as many
    min_share: float = 0.01,  # of the elements held; below, what is missing is a detail
) -> Answer:
    """What the optimizer holds and no loss has ever reached."""
    rows = record.rows("idle")
    if not record.rows("graph") or not record.optimizers:
        yield NotEvaluated("no graph and no optimizer were seen")
        return
    if any(row.get("truncated") or row.get("opaque") for row in record.rows("graph")):
        yield NotEvaluated("the graph could not be seen whole (compiled, or very large)")
        return
    reached = {leaf for objective in record.objectives for leaf in objective.leaves}
    last = {row.get("opt"): row for row in rows}
    for optimizer in record.optimizers:
        row = last.get(optimizer.number)
        if row is None or optimizer.steps < min_steps:
            continue
        idle = [n for n in row.get("params") or [] if n in record.parameters and n not in reached]
        idle = [n for n in idle if record.parameters[n].declared and not _moved(record, n)]
        elements = sum(record.parameters[n].size for n in idle)
        total = number(row.get("total"))
        if not idle or not total > 0 or not min_share <= elements / total < 1:
            continue
        names = [record.parameters[n].name for n in idle]
        site, elsewhere = _place(source, names, [record.parameters[n].name for n in reached if n in record.parameters])
        text = (
            f"{len(idle)} parameters ({elements:,} of {total:,.0f} elements the optimizer holds: {listed(names)}) "
            f"never get a gradient in {optimizer.steps} steps: the loss does not depend on them"
        )
        yield Finding(
            site,
            (Evidence(text, "idle_parameters", float(elements), 0.0),),
            0.9,
            layer=record.parameters[idle[0]].layer,
            severity="info" if elsewhere else None,
        )
        return


def _moved(record: Record, parameter: int) -> bool:
    """Whether some sampled step changed it."""
    for row in record.rows("update"):
        for n, change in zip(row.get("params") or [], row.get("change") or []):
            if n == parameter and number(change) > 0:
                return True
    return False


def _place(source: Source, names: list[str], trained: list[str]) -> tuple[Site | None, bool]:
    """(where forward drops the layer, else where it is made; whether it serves what this run does not do)."""
    stage = _stages(source, names, trained)
    if stage is not None:
        return stage, False
    elsewhere: list[tuple[Module, ast.expr]] = []
    called: list[tuple[Module, ast.expr]] = []
    reached = _reached(source)
    for name in names:
        attributes = [part for part in name.split(".")[:-1] or [name] if not part.isdigit()]
        for attribute in reversed(attributes):
            uses = _uses(source, attribute)
            in_forward = [(m, n) for m, n in uses if _function(m, n) in reached and not _conditional(m, n)]
            called += in_forward
            elsewhere += uses
            if uses:
                break
    dropped = next((site for m, n in called if (site := _overwritten(m, n) or _doubled(m, n)) is not None), None)
    if called:
        return dropped or site_at(*called[0]), False
    if elsewhere:
        return site_at(*elsewhere[0]), True
    made = next((source.layer(name) for name in names if source.layer(name) is not None), None)
    return (None, False) if made is None else (site_at(*made), False)


def _stages(source: Source, names: list[str], trained: list[str]) -> Site | None:
    """Where a loop over a list of blocks applies them, if some of the list learn and others do not."""
    for name in names:
        parts = name.split(".")
        index = next((i for i, part in enumerate(parts) if part.isdigit()), 0)
        prefix = ".".join(parts[:index]) + "."
        if not index or not any(other.startswith(prefix) for other in trained):
            continue
        for module in source:
            for loop in module.of_kind(ast.For):
                held = {node.attr for node in ast.walk(loop.iter) if isinstance(node, ast.Attribute)}
                called = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
                for call in ast.walk(loop) if parts[index - 1] in held else ():
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in called:
                        return site_at(module, call)
    return None


def _doubled(module: Module, node: ast.expr) -> Site | None:
    """Behind an output that nothing reads: what joins another one with itself, as in `torch.cat([a, a])`."""
    statement, function = module.statement_at(node.lineno), module.enclosing(node, ast.FunctionDef)
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name) or function is None:
        return None
    name = statement.targets[0].id
    if any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) for n in ast.walk(function)):
        return None
    for part in ast.walk(function):
        sides = part.elts if isinstance(part, (ast.List, ast.Tuple)) else []
        sides = [part.left, part.right] if isinstance(part, ast.BinOp) else sides
        twice = len(sides) == 2 and all(isinstance(side, ast.Name) for side in sides)
        behind = isinstance(part, ast.expr) and part.lineno > statement.lineno
        if twice and behind and isinstance(part, ast.expr) and ast.dump(sides[0]) == ast.dump(sides[1]):
            return site_at(module, part)
    return None


def _uses(source: Source, attribute: str) -> list[tuple[Module, ast.expr]]:
    """Where `.attribute` is read in a method other than __init__."""
    found: list[tuple[Module, ast.expr]] = []
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.ctx, ast.Load):
                function = _function(module, node)
                if function != "__init__" and not _set_up(module, node):
                    found.append((module, node))
    return sorted(found, key=lambda entry: entry[1].lineno)


def _reached(source: Source) -> set[str]:
    """forward, and the methods that it always calls, by themselves or one through another."""
    calls = [
        (_function(module, node), node.func.attr)
        for module in source
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and not _conditional(module, node)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "self"
    ]
    reached = {"forward"}
    while found := {called for caller, called in calls if caller in reached} - reached:
        reached |= found
    return reached


def _set_up(module: Module, node: ast.Attribute) -> bool:
    """`self.fc.weight`, `model.fc.parameters()`, initialisers: the layer is handled, not used."""
    outer = module.parents.get(node)
    if isinstance(outer, ast.Attribute):
        return outer.attr in ("weight", "bias", "parameters", "named_parameters", "train", "eval", "apply", "to")
    return False


def _function(module: Module, node: ast.AST) -> str:
    found = module.enclosing(node, ast.FunctionDef)
    return found.name if isinstance(found, ast.FunctionDef) else ""


def _conditional(module: Module, node: ast.AST) -> bool:
    found = module.enclosing(node, ast.If, ast.IfExp, ast.FunctionDef)
    return isinstance(found, (ast.If, ast.IfExp))


def _overwritten(module: Module, node: ast.expr) -> Site | None:
    """The statement that overwrites what a call gave before anything has read it."""
    statement = module.statement_at(node.lineno)
    function = module.enclosing(node, ast.FunctionDef)
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name) or function is None:
        return None
    name = statement.targets[0].id
    later = [s for s in ast.walk(function) if isinstance(s, ast.stmt) and s.lineno > statement.lineno]
    for each in sorted(later, key=lambda s: s.lineno):
        value = each.value if isinstance(each, (ast.Assign, ast.Return, ast.Expr)) else each
        if value is not None and any(isinstance(p, ast.Name) and p.id == name for p in ast.walk(value)):
            return None
        if isinstance(each, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in each.targets):
            return site_at(module, each)
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Its twin's second use, where one made alike is used twice; else words: what was meant its author must say."""
    name = finding.layer or "the layer"
    edits = _in_place_of_twin(source, name) if finding.layer else []
    if edits:
        return [Remedy(f"use {name} where its twin is used a second time", "changes-training", tuple(edits))]
    return [Remedy(f"feed the output of {name} on to the loss, or remove {name} from the model", "changes-training")]


def _in_place_of_twin(source: Source, name: str) -> list[Edit]:
    """`self.b` in place of the second `self.a`, where both are made by the same call and `self.b` is never used."""
    attribute = name.rpartition(".")[2]
    found = source.layer(f"{name}.weight")
    module, made = found if found is not None else (None, None)
    owner = module.enclosing(made, ast.ClassDef) if module is not None and made is not None else None
    if module is None or owner is None or not isinstance(made, ast.Assign) or _uses(source, attribute):
        return []
    alike = [
        target.attr
        for node in ast.walk(owner)
        if isinstance(node, ast.Assign) and node is not made and ast.dump(node.value) == ast.dump(made.value)
        for target in node.targets
        if isinstance(target, ast.Attribute)
    ]
    uses = _uses(source, alike[0]) if len(alike) == 1 else []
    own = len(uses) == 2 and all(m is module and m.enclosing(n, ast.ClassDef) is owner for m, n in uses)
    if not own or not isinstance(uses[1][1], ast.Attribute):
        return []
    return [module.replace(uses[1][1], f"{module.segment(uses[1][1].value)}.{attribute}")]


CONDITION = Condition(
    "unused-parameters",
    "warning",
    needs=("idle_parameters", "graph", "parameters", "optimizers"),
    in_run=in_run,
    remedies=remedies,
    explains=("uninformative-labels",),  # a position embedding that forward leaves out hides what the labels say
)
