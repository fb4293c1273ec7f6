"""Questions that several conditions ask of a run: what does it learn, who steps it, where does a thing stand."""

from __future__ import annotations

import ast

import numpy as np

from ..record import Progress, Record, Site, progress
from ..record.record import Column, Objective, Optimizer
from ..record.steps import Steps
from ..source import Module, Source
from ..source.flow import Point
from ..source.program import Event, Value
from ..source.program.calls import is_layer
from ..source.program.kinds import settled
from ..source.program.values import Call
from ..source.rates import behind

MIN_STEPS = 10  # below this nothing is said about learning: see diagnosis.MIN_STEPS


def judged(record: Record) -> list[Progress]:
    """The objectives that learning can be judged by.

    Where several are trained at once against each other (a GAN), only those with a constant predictor's loss are.
    """
    found = [entry for entry in progress(record) if entry.count >= MIN_STEPS]
    return found if len(found) == 1 else [entry for entry in found if np.isfinite(entry.skill)]


def fails(entry: Progress, below: float = 0.5) -> bool:
    """Whether the loss is not finite, or stands at less than `below` of the way from baseline to zero.

    Without a baseline: whether less than a fifth of the first loss is gone (losses of either sign are compared so).
    """
    if entry.nonfinite:
        return True
    if np.isfinite(entry.skill):
        return entry.skill < below
    return bool(np.isfinite(entry.drop) and entry.drop < 0.2)


def standing(entry: Progress) -> str:
    """The figures of an objective as a phrase."""
    text = f"loss {entry.first:.4g} -> {entry.last:.4g} in {entry.count} steps"
    if np.isfinite(entry.baseline):
        text += f" (best constant output: {entry.baseline:.4g})"
    return text


def optimizers_of(record: Record, objective: Objective) -> list[Optimizer]:
    """The optimizers that hold something of an objective's graph."""
    return [entry for entry in record.optimizers if entry.parameters & objective.leaves]


def steps_of(record: Record, objective: Objective) -> list[Steps]:
    """The sampled steps that an objective's gradients led to; hand-written ones where no optimizer holds a leaf."""
    held = [Steps(record, optimizer) for optimizer in optimizers_of(record, objective)]
    found = [steps for steps in held if len(steps.updates)]
    return found or [Steps(record, None)]


def middle(values: Column) -> float:
    """Median of the finite values, NaN where there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def late(values: Column) -> Column:
    """The second half."""
    return values[len(values) // 2 :]


def site_of(point: Point) -> Site:
    """A point of a trail as a site."""
    return Site(point.module.file, point.line, function_name(point.module, point.node))


def site_at(module: Module, node: ast.expr | ast.stmt) -> Site:
    """A node of a file as a site."""
    return Site(module.file, node.lineno, function_name(module, node))


def setting_site(source: Source, optimizer: Optimizer, name: str, value: float) -> Site | None:
    """Where a setting of an optimizer would be changed: at the literal it comes from, else where that is built."""
    site = optimizer.site
    found = behind(source, site.file, site.line, name, value) if site is not None else None
    return site if found is None else site_at(found.module, found.node)


def function_name(module: Module, node: ast.AST) -> str:
    """The name of the function around a node, as tracebacks have it."""
    found = module.enclosing(node, ast.FunctionDef, ast.AsyncFunctionDef)
    return found.name if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)) else "<module>"


def loss_site(record: Record, entry: Progress) -> Site | None:
    """The line of the loss function's call, else that of its backward."""
    call = record.calls.get(entry.call) if entry.call is not None else None
    return (record.site(call.get("site")) if call else None) or entry.objective.site


def layer_site(record: Record, source: Source, parameter: int | None) -> Site | None:
    """Where the layer that holds a parameter is made."""
    known = record.parameters.get(parameter) if parameter is not None else None
    found = source.layer(known.name) if known is not None else None
    return None if found is None else site_at(*found)


def layer_name(record: Record, parameter: int | None) -> str | None:
    """The name of the layer that holds a parameter."""
    known = record.parameters.get(parameter) if parameter is not None else None
    return None if known is None else known.layer


def initialiser_site(source: Source, *names: str, of: str = "") -> Site | None:
    """The first call of torch's in-place initialisers (or methods) with these names, the first name first.

    `of`: the name of a parameter; a call that names it is preferred.
    """
    found = [
        (module, call)
        for name in names
        for module in source
        for call in module.calls(f"torch.nn.init.{name}_", f"?.{name}_")
    ]
    leaf = of.rpartition(".")[2]
    named = [(module, call) for module, call in found if leaf and leaf in module.segment(call)]
    return site_at(*(named or found)[0]) if found else None


def site_of_event(event: Event | Value) -> Site:
    """Where the source has something happen."""
    module, node = event.module, event.node
    assert module is not None
    line = getattr(node, "lineno", 1)
    return Site(module.file, line, "<module>" if node is None else function_name(module, node))


def site_of_layer(made: Call) -> Site:
    """Where a tensor's operation stands: for a layer where that is made, in a Sequential or an attribute."""
    fn = settled(made.fn)
    return site_of_event(fn if isinstance(fn, Call) and is_layer(fn) and _in_chain(fn) else made)


def _in_chain(layer: Call) -> bool:
    """Whether a layer is an entry of a container: then no line of its own applies it."""
    assert layer.module is not None and layer.node is not None
    outer = layer.module.parents.get(layer.node)
    return isinstance(outer, (ast.Call, ast.List, ast.Tuple, ast.Starred))


def site_of_loss(call: Call) -> Site:
    """Where a loss is chosen: its criterion is made there, or its function is called."""
    fn = settled(call.fn)
    return site_of_event(fn if isinstance(fn, Call) else call)
