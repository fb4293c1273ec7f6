"""The graph is cut between the parameters and the loss.

## What happens
`.item()`, `.detach()`, `.data`, NumPy, `torch.tensor(loss)`, `argmax`, rounding or a `no_grad` block on the way to the
loss leave it without a path back. If every path is cut, backward raises `element 0 of tensors does not require grad and
does not have a grad_fn`. A much repeated "fix", `loss.requires_grad_(True)`, only removes the message: the loss becomes
a leaf of its own, all `.grad` stay None, the optimizer skips every parameter and the weights stay bit-identical, in
silence. `torch.tensor(loss, requires_grad=True)` does the same. If only one path is cut, say features detached before
the head, the head trains, the body does not, and the loss falls just enough to look like a weak model.

## How it is told apart
Decided on parameter sets: trainable parameters, those reached from the loss by the graph, those with a gradient. None
reached: the cut is everywhere. Some not reached although their module ran in the forward: the cut lies between them.
- `unused-parameters`: nothing is cut, the module was never called; behind a partial cut it follows as a consequence.
- `frozen-parameters`: requires_grad is False on the parameters.
- `missing-step`, `misplaced-zero-grad`: gradients do exist after backward. `parameters-not-in-optimizer`: likewise.
- `constant-loss`: a path to the parameters exists, or one term of the sum alone does not depend on the output.
- `vanishing-gradients`: small, not absent. `undetached-target`: the opposite, a cut that is missing.
Not this: a frozen backbone under no_grad, detached targets and teachers, a GAN discriminator's step on
`fake.detach()`, stop-gradient in VQ or self-distillation, `.item()` for logging, validation under no_grad.

## Remedy
Remove the cut at its line; keep a detached copy for printing.

    loss = F.cross_entropy(model(x), y)              # tensors all the way, no .item(), .numpy(), torch.tensor(...)
    loss.backward()
    total += loss.item()                             # after backward, for the log only

A step that has no derivative (argmax, rounding, sampling) needs another objective: logits into cross-entropy, a
straight-through estimator, Gumbel-softmax or a policy gradient. `requires_grad_(True)` on a loss is never the remedy.

## Sources
- PyTorch, Autograd mechanics, https://docs.pytorch.org/docs/stable/notes/autograd.html
  [an output requires grad only if an input does; no-grad mode]
- ReLeaSE issue 39, https://www.github.com/isayev/ReLeaSE/issues/39
  [loss detached, a new node made: no error, weights not changing]
- speechbrain issue 1396, https://github.com/speechbrain/speechbrain/issues/1396
  [a detach() inside a library cuts the graph; removing it restores the gradient]
- The spread advice that hides it, https://blog.csdn.net/ZwaterZ/article/details/126193284 [loss.requires_grad_(True)]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.record import Objective, numbers
from ...source import Edit, Module, Source
from ...source.flow import Trail, called_in, called_names
from ...source.output import output_of
from ...source.program.kinds import WEIGHTED, applied, is_cut, layer_name, settled, within
from ...source.program.queries import Entry, backward_of, entries
from ...source.program.tensors import is_plain
from ...source.program.training import freezes, held, layers_reached
from ...source.program.values import (
    Call,
    Op,
)
from ...source.spelling import in_place_of, spelled
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_event

NO_GRAPH = ("does not require grad and does not have a grad_fn", "element 0 of tensors does not require grad")
CUT_METHODS = ("?.detach", "?.item", "?.numpy", "?.tolist", "?.detach_")
CUT_FUNCTIONS = ("torch.tensor", "torch.Tensor", "torch.FloatTensor", "torch.from_numpy", "numpy.array", "float")
CHOICES = ("?.argmax", "torch.argmax", "?.round", "torch.round", "?.max", "torch.max")  # what no gradient passes


def in_run(
    record: Record,
    source: Source,
    *,
    min_backwards: int = 3,  # a first pass may be a probe
) -> Answer:
    """The graph between the parameters and the loss is cut, wholly or in part."""
    error = record.exception
    if error is not None and any(text in str(error.get("text")) for text in NO_GRAPH):
        frames = error.get("frames") or []
        crashed = record.site(frames[-1]) if frames else None
        text = "backward() was called on a tensor that depends on no parameter (torch raised)"
        yield Finding(_cut_before(source, crashed) or crashed, (Evidence(text, "exception"),), 0.97, subject=crashed)
        return
    if not record.objectives:
        yield NotEvaluated("no backward was seen")
        return
    for objective in record.objectives:
        leaf_root = any(row.get("leaf_root") for row in objective.graphs)
        if leaf_root and objective.count >= min_backwards:
            text = (
                f"all {objective.count} backward passes began at a tensor with no history: it was made anew from the "
                "loss's value, so that no parameter gets a gradient"
            )
            yield Finding(
                _cut_before(source, objective.site) or objective.site,
                (Evidence(text, "graph", 0.0, 1.0),),
                0.98,
                subject=objective.site,
            )
            return
    made_anew = _made_anew(record, min_backwards)
    if made_anew is not None:
        text = (
            "the loss reaches none of the parameters that the optimizer holds, only a tensor without history that was "
            "told to require grad: it was made anew on the way, so that no parameter gets a gradient"
        )
        place = _cut_before(source, made_anew.site, (*CUT_METHODS, *CUT_FUNCTIONS, *CHOICES))
        yield Finding(place or made_anew.site, (Evidence(text, "graph", 0.0, 1.0),), 0.96)
        return
    yield from _partial(record, source, min_backwards)


def _made_anew(record: Record, min_backwards: int) -> Objective | None:
    """An objective whose only leaves are plain tensors that no optimizer holds, where the optimizers move nothing."""
    held = {p for optimizer in record.optimizers for p in optimizer.parameters}
    rows = [row for optimizer in record.optimizers for row in optimizer.updates]
    if not held or not rows or any(np.nanmax(numbers(row.get("change")), initial=0.0) > 0 for row in rows):
        return None
    if any(row.get("truncated") or row.get("opaque") for row in record.rows("graph")) or any(
        row.get("steps") for row in record.rows("free")
    ):
        return None
    for objective in record.objectives:
        leaves = [record.parameters.get(leaf) for leaf in objective.leaves]
        plain = bool(leaves) and all(leaf is not None and not leaf.declared for leaf in leaves)
        if plain and not objective.leaves & held and objective.count >= min_backwards:
            return objective
    return None


def _partial(record: Record, source: Source, min_backwards: int) -> Answer:
    """Parameters that an optimizer holds and no graph ever reaches, with a cut in the source to blame."""
    if sum(objective.count for objective in record.objectives) < min_backwards:
        return
    if any(row.get("truncated") or row.get("opaque") for row in record.rows("graph")):
        yield NotEvaluated("the graph could not be seen whole (compiled, or very large)")
        return
    reached = {leaf for objective in record.objectives for leaf in objective.leaves}
    held = {p for optimizer in record.optimizers if optimizer.steps for p in optimizer.parameters}
    # A checkpointed block has a graph of its own, inside the backward, and its gradients come from there.
    given = {p for optimizer in record.optimizers for p in optimizer.given}
    cut_off = sorted(p for p in held - reached - given if p in record.parameters)
    place = _cut_in_forward(record, source, cut_off) if 0 < len(cut_off) < len(held) else None
    if place is None:
        return
    names = [record.parameters[p].name for p in cut_off]
    text = (
        f"{len(cut_off)} of {len(held)} parameters that the optimizer holds are never reached from the loss "
        f"({', '.join(names[:4])}{', ...' if len(names) > 4 else ''}): they get no gradient and never change"
    )
    evidence = Evidence(text, "graph", float(len(cut_off)), 0.0)
    yield Finding(place, (evidence,), 0.9, layer=record.parameters[cut_off[0]].layer)


def _cut_before(
    source: Source, site: Site | None, names: tuple[str, ...] = (*CUT_METHODS, *CUT_FUNCTIONS)
) -> Site | None:
    """The cut on the way of the value whose backward() stands at a site."""
    module = source.module(site.file) if site is not None else None
    statement = module.statement_with(site.line, "backward") if module is not None and site is not None else None
    if module is None or statement is None:
        return None
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and node.attr == "backward":
            for point in Trail(source).of(module, node.value):
                if _is_cut(point.module, point.node, names):
                    return site_at(point.module, point.node)
    return None


def _is_cut(module: Module, node: ast.expr, names: tuple[str, ...] = (*CUT_METHODS, *CUT_FUNCTIONS)) -> bool:
    if isinstance(node, ast.Call):
        return module.dotted(node.func) in names
    return isinstance(node, ast.Attribute) and node.attr == "data"


def _cut_in_forward(record: Record, source: Source, cut_off: list[int]) -> Site | None:
    """A cut in the statement that calls a layer with unreached parameters, or right behind it."""
    attributes = {part for p in cut_off for part in record.parameters[p].name.split(".")[:-1] if not part.isdigit()}
    candidates: list[tuple[int, Module, ast.expr]] = []
    for module in source:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.expr) or not _is_cut(module, node) or _evaluates(module, node):
                continue
            inner = [part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)]
            inner += [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
            behind = [p for point in Trail(source).of(module, node) for p in called_names(point.node)]
            score = 2 if attributes & set(inner) else 1 if attributes & set(behind) else 0
            if score:
                candidates.append((score, module, node))
        for block in ast.walk(module.tree):
            if isinstance(block, ast.With) and _is_no_grad(module, block):
                called = called_in(module, block)
                inside_loop = any(isinstance(node, ast.Return) for node in ast.walk(block))
                if attributes & called and not inside_loop and _continues(module, block):
                    candidates.append((1, module, block.items[0].context_expr))
    if not candidates:
        return None
    candidates.sort(key=lambda entry: -entry[0])
    return site_at(candidates[0][1], candidates[0][2])


def _is_no_grad(module: Module, block: ast.With) -> bool:
    entered = [module.segment(item.context_expr) for item in block.items]
    return any("no_grad" in text or "inference_mode" in text for text in entered)


def _evaluates(module: Module, node: ast.AST) -> bool:
    """Inside a no_grad block or function there is no graph to cut."""
    outer = module.enclosing(node, ast.With)
    while isinstance(outer, ast.With):
        if _is_no_grad(module, outer):
            return True
        outer = module.enclosing(outer, ast.With)
    function = module.enclosing(node, ast.FunctionDef, ast.AsyncFunctionDef)
    decorators = getattr(function, "decorator_list", [])
    return any("no_grad" in module.segment(d) or "inference_mode" in module.segment(d) for d in decorators)


def _continues(module: Module, block: ast.With) -> bool:
    """Whether what is computed in the block is used after it by name: an encoder without gradient, not a validation."""
    stored = {n.id for n in ast.walk(block) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    scope = module.enclosing(block, ast.FunctionDef, ast.AsyncFunctionDef, ast.Module) or module.tree
    after = block.end_lineno or block.lineno
    used = {
        n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.lineno > after
    }
    has_backward = any(
        isinstance(n, ast.Attribute) and n.attr == "backward" and n.lineno > after for n in ast.walk(scope)
    )
    in_forward = isinstance(scope, ast.FunctionDef) and scope.name == "forward"
    return bool(stored & used) and (has_backward or in_forward)


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Take the cuts away: `.data`, `.detach()`, `.item()`, `torch.tensor(loss)`, `no_grad` around training."""
    title = "keep the graph: compute the loss from the model's outputs with torch operations only"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return [Remedy(title, "safe")]
    backward = finding.subject if isinstance(finding.subject, Site) else None
    edits = _mended(source, backward) if backward is not None else ()
    if not edits:
        cuts = [n for n in ast.walk(module.tree) if isinstance(n, ast.expr) and n.lineno == site.line]
        edits = tuple(edit for node in cuts if _is_cut(module, node) for edit in _uncut(module, node))
    if not edits:
        edits = _graph_enabled(source, module, site.line)
    if not edits:
        return [Remedy(title, "safe")]
    line = edits[0].line
    return [Remedy(f"take away the cut in line {line}: {title.partition(': ')[2]}", "changes-training", edits)]


def _mended(source: Source, site: Site) -> tuple[Edit, ...]:
    """Every cut on the way from the backward at a line to the model, taken away."""
    module = source.module(site.file)
    statement = module.statement_with(site.line, "backward") if module is not None else None
    edits: list[Edit] = []
    for node in ast.walk(statement) if statement is not None else ():
        if module is not None and isinstance(node, ast.Attribute) and node.attr == "backward":
            trail = output_of(source, module, node.value)
            for point in trail.points:
                if trail.model is point or (
                    isinstance(point.node, ast.BinOp) and isinstance(point.node.op, ast.MatMult)
                ):
                    break  # what goes into a model needs no graph
                if _is_cut(point.module, point.node) and not _inside(edits, point.module, point.node):
                    edits += _uncut(point.module, point.node)
    return tuple(edits)


def _inside(edits: list[Edit], module: Module, node: ast.expr) -> bool:
    """Whether a cut stands within a text that is replaced already."""
    line, column, end_line, end_column = module.span(node)
    return any(
        edit.file == module.file
        and (edit.line, edit.column) <= (line, column)
        and (end_line, end_column) <= (edit.end_line, edit.end_column)
        for edit in edits
    )


def _uncut(module: Module, node: ast.expr) -> tuple[Edit, ...]:
    """A cut replaced by what it is applied to, with the cuts inside that gone as well."""
    inner = node
    while _is_cut(module, inner):
        value: ast.expr | None = None
        if isinstance(inner, ast.Attribute):
            value = inner.value
        elif isinstance(inner, ast.Call) and module.dotted(inner.func) in CUT_METHODS:
            value = inner.func.value if isinstance(inner.func, ast.Attribute) else None
        elif isinstance(inner, ast.Call) and inner.args:
            value = inner.args[0]
        if value is None:
            return ()
        if isinstance(value, (ast.List, ast.Tuple)):  # torch.tensor([a, b]) of tensors
            stack = spelled(module, "torch.stack")
            if stack is None or inner is not node:
                return ()
            elements = [_bare(module, each) for each in value.elts]
            return (module.replace(node, f"{stack}([{', '.join(elements)}])"),)
        inner = value
    return () if inner is node else (in_place_of(module, node, inner),)


def _bare(module: Module, node: ast.expr) -> str:
    while _is_cut(module, node) and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    return module.segment(node)


def _graph_enabled(source: Source, module: Module, line: int) -> tuple[Edit, ...]:
    """`with torch.no_grad():` around what is trained, or that decorator, replaced by `enable_grad`."""
    function = module.function_at(line)
    candidates = list(function.decorator_list) if function is not None else []
    for block in ast.walk(module.tree):
        if isinstance(block, ast.With) and block.lineno <= line <= (block.end_lineno or line):
            candidates += [item.context_expr for item in block.items]
    for node in candidates:
        callee = node.func if isinstance(node, ast.Call) else node
        if module.dotted(callee) in ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad"):
            name = spelled(module, "torch.enable_grad")
            return (module.replace(node, f"{name}()"),) if name else ()
    return _around_model(source, module, line)


def _around_model(source: Source, module: Module, line: int) -> tuple[Edit, ...]:
    """The block without gradient in which the model was called whose loss is followed by backward at a line."""
    statement = module.statement_with(line, "backward")
    for node in ast.walk(statement) if statement is not None else ():
        if isinstance(node, ast.Attribute) and node.attr == "backward":
            for point in Trail(source).of(module, node.value):
                outer = point.module.enclosing(point.node, ast.With)
                if isinstance(outer, ast.With) and _is_no_grad(point.module, outer):
                    name = spelled(point.module, "torch.enable_grad")
                    first = outer.items[0].context_expr
                    return (point.module.replace(first, f"{name}()"),) if name else ()
    return ()


def in_source(source: Source) -> Iterator[Finding]:
    """Every way from the layers to a loss that backward() is called on passes a cut."""
    every = entries(source)
    yield from _partly(every)
    for entry in every:
        for place in entry.calls("backward"):
            loss = backward_of(place.event)
            if loss is None or place.loop is None or place.event.grad is not True:
                continue
            cuts = []
            for each in within(loss, stop=is_cut):
                if is_cut(each):
                    cuts.append(each)
                elif not is_plain(each):
                    break
            else:
                behind = [each for each in cuts if any(layer_name(made.fn) in WEIGHTED for made in applied(each))]
                if behind:
                    text = "nothing that can be trained reaches this loss but through here, where the graph is cut"
                    subject = site_of_event(place.event)
                    return (yield Finding(site_of_event(behind[0]), (Evidence(text),), 0.95, subject=subject))


def _partly(every: list[Entry]) -> Iterator[Finding]:
    """A fresh part of a model that its optimizer holds, and that every loss reaches through a cut only."""
    known, certain = held(every)
    backwards = [backward_of(place.event) for entry in every for place in entry.calls("backward")]
    if not certain or freezes(every) or not backwards:
        return
    reached = layers_reached(backwards)
    for loss in backwards if reached is not None else ():
        for cut in within(loss):
            if not is_cut(cut) or (isinstance(cut, (Call, Op)) and cut.grad is False):
                continue
            behind = {id(settled(each.fn)) for each in applied(cut) if layer_name(each.fn) in WEIGHTED}
            if behind and behind <= known and reached is not None and not behind & reached:
                text = "the graph is cut here: no gradient reaches the layers before, which the optimizer holds"
                return (yield Finding(site_of_event(cut), (Evidence(text),), 0.9))


CONDITION = Condition(
    "detached-loss",
    "error",
    needs=("graph", "optimizers", "parameters", "exception", "updates"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("missing-step", "unused-parameters", "grad-enabled-in-eval"),
)
