"""The loss, or a term of it, does not depend on what the model put out.

## What happens
A constant can be added to a loss or computed in it without any error: a criterion given detached or rounded outputs
beside a penalty that does carry gradient, a clamp or a threshold in whose flat part all outputs lie, the sign of the
output instead of the output. Backward runs, the gradient of that term is exactly zero, and only what is left (often the
penalty alone) is trained: weights shrink, and the loss stays pinned where it was.

## How it is told apart
Decided on the graph: the line that is backpropagated names a loss, or a distance, whose value enters as a constant,
while another term has a path to the parameters; or an operation whose derivative is zero everywhere (round, sign,
floor, a clamp that all outputs lie outside of) stands between, and every gradient is exactly zero.
- `detached-loss`: the graph is cut for all terms, and backward raises or starts at a leaf.
- `single-logit-cross-entropy`, `constant-output`: zero gradient since a softmax runs over one entry.
- `dead-relu`, `saturated-activations`, `symmetric-init`: the flat part is inside the network.
- `loss-not-backpropagated`: the loss depends on the model, and nobody calls backward on it.
Not this: constants of a density (log 2 pi), detached targets and baselines, a straight-through estimator, losses only
watched, a frozen part of the model, hinge losses that reach zero when everything is learnt.

## Remedy
Compute the term from the outputs as they come from the model.

    loss = F.cross_entropy(model(x), y) + decay * penalty         # no detach(), round() or argmax on the way

## Sources
- PyTorch, Autograd mechanics, https://docs.pytorch.org/docs/stable/notes/autograd.html
  [an output requires grad only if an input does; gradients of functions that are not differentiable]
- PyTorch, torch.clamp, https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
- Bengio et al., Estimating or propagating gradients through stochastic neurons, https://arxiv.org/abs/1308.3432
  [thresholds have no useful gradient; the straight-through estimator]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Row, Rows, Site
from ...record.record import Column, Objective, numbers
from ...source import Module, Source
from ...source.flow import Trail
from ...source.loss import argument, loss_call
from ...source.program.kinds import applied, operation, reformed
from ...source.program.queries import losses
from ...source.program.values import Call
from ...source.terms import Addend, addends, backwarded, definitions
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import MIN_STEPS, site_at, site_of_layer

FLAT = (
    "RoundBackward",
    "SignBackward",
    "FloorBackward",
    "CeilBackward",
    "TruncBackward",
    "ClampBackward",
    "SgnBackward",
)
# A loss that depends on outputs varies from batch to batch by far more than float32 rounds.
ROUNDING = 1e-5
PINNED_STEPS = 20  # batches that must agree
LAYERS = ("AddmmBackward", "MmBackward", "BmmBackward", "ConvolutionBackward", "NativeBatchNormBackward")
STEPS = ("round", "sign", "floor", "ceil", "trunc")  # flat everywhere
DISTANCES = ("pow", "abs", "square", "norm")
CUTS = ("detach", "item", "data", "numpy", "tolist", "round", "sign", "floor", "ceil", "argmax")


def in_run(
    record: Record,
    source: Source,
    *,
    min_backwards: int = MIN_STEPS,  # as for every judgement of learning
) -> Answer:
    """A loss has no gradient with respect to the outputs."""
    objectives = [o for o in record.objectives if o.count >= min_backwards]
    if not objectives:
        yield NotEvaluated("no loss was backpropagated often enough")
        return
    for objective in objectives:
        found = _flat(record, source, objective, record.rows("gradients", site=objective.number))
        found = found or _constant_term(record, source, objective.site, objective.graphs)
        found = found or _pinned(record, objective, min_backwards)
        if found is not None:
            yield found
            return


def _flat(record: Record, source: Source, objective: Objective, gradients: Rows) -> Finding | None:
    """Every gradient is exactly zero from the first step on, with a flat operation right before the loss."""
    sizes = [numbers(row.get("grad")) for row in gradients]
    known = np.concatenate([column[np.isfinite(column)] for column in sizes]) if sizes else np.array([])
    if not len(known) or np.any(known != 0):
        return None
    for call in objective.calls:
        site = record.site(record.calls.get(call, {}).get("site"))
        for row in record.rows("argument", call=call):
            flat = next((name for name in row.get("made", [])[:2] if name.startswith(FLAT)), None)
            if flat is not None:
                word = _word(flat)
                values = record.rows("loss", call=call).column("value")
                return _zero(word, len(sizes), values, _cut(source, site, (word,)) or site)
    # A loss by hand: the last operations of the graph are its own.
    flat = [] if objective.calls or not np.any(objective.values) else _own_flat(objective)
    if flat:
        word = _word(flat[0])
        return _zero(word, len(sizes), objective.values[-1:], _only(source, word) or objective.site)
    return None


def _own_flat(objective: Objective) -> list[str]:
    """Flat operations between the loss and the last layer that holds weights; a clamp, flat in part, last."""
    found: list[str] = []
    for row in objective.graphs[:1]:
        for name, *_ in row.get("head", []):
            if name.startswith(LAYERS):
                break
            if name.startswith(FLAT):
                found.append(name)
    return sorted(found, key=lambda name: name.startswith("Clamp"))


def _word(operation: str) -> str:
    return operation.partition("Backward")[0].lower()


def _zero(word: str, samples: int, values: Column, site: Site | None) -> Finding:
    text = (
        f"the loss is computed behind {word}, whose derivative is zero there: every gradient of {samples} sampled "
        "steps is exactly 0"
    )
    if len(values):
        text += f", and the loss stands at {values[-1]:.4g}"
    return Finding(site, (Evidence(text, "gradients", 0.0, None),), 0.95)


def _only(source: Source, name: str) -> Site | None:
    """The only call of that name in code that is differentiated, as far as the source tells."""
    found = [
        (module, node)
        for module in source
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and module.dotted(node.func) in (f"torch.{name}", f"?.{name}", f"?.{name}_")
        and _traced(module, node)
    ]
    return site_at(*found[0]) if found else None


def _traced(module: Module, node: ast.AST) -> bool:
    """Not under `with torch.no_grad():`, nor printed."""
    while (outer := module.enclosing(node, ast.With, ast.Call)) is not None:
        heads = [item.context_expr for item in outer.items] if isinstance(outer, ast.With) else [outer]
        names = [module.dotted(head.func) for head in heads if isinstance(head, ast.Call)]
        if any(name.endswith(("no_grad", "inference_mode")) or name == "print" for name in names):
            return False
        node = outer
    return True


def _constant_term(record: Record, source: Source, site: Site | None, graphs: Rows) -> Finding | None:
    """A loss without gradient, called with gradients enabled, is a term of the sum that is backpropagated."""
    loose = [
        call
        for call in record.calls.values()
        if call.get("enabled") and not call.get("grad") and not (call.get("output") or {}).get("grad")
    ]
    found = backwarded(source, site.file, site.line) if site is not None else None
    sums = _sums(record, graphs)
    if found is None or not any("constant" in names for names in sums):
        return None
    terms = addends(source, *found)
    for call in loose:
        place = record.site(call.get("site"))
        if place is None or not any(_stands_at(term, place) for term in terms):
            continue
        number = call.get("i")
        values = record.rows("loss", call=number).column("value")
        text = (
            f"the term {call.get('fn')} of the loss carries no gradient: the model is trained on the other terms alone"
        )
        if len(values):
            text += f", and it went from {values[0]:.4g} to {values[-1]:.4g}"
        return Finding(_cut(source, place, CUTS) or place, (Evidence(text, "loss_terms", 0.0, 1.0),), 0.93)
    for index, term in enumerate(terms):
        measure = _measure(term)
        if measure is not None and all(len(names) == len(terms) and names[index] == "constant" for names in sums):
            text = f"{term.module.segment(measure)} enters the loss as a constant, without a path to any weight"
            return Finding(site_at(term.module, measure), (Evidence(text, "loss_terms", 0.0, 1.0),), 0.9)
    return None


def _measure(term: Addend) -> ast.expr | None:
    """What measures two things in a term, a call or a distance: none in a number, a buffer, a normaliser."""
    named = [node for node in ast.walk(term.node) if isinstance(node, ast.Name)]
    values = [value for name in named for value, _ in definitions(term.module, name)]
    for node in (part for value in (term.node, *values) for part in ast.walk(value)):
        if isinstance(node, ast.Call) and len(node.args) >= 2 and all(_varies(each) for each in node.args[:2]):
            return node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and _is_distance(term.module, node):
            return node
    return None


def _is_distance(module: Module, node: ast.BinOp) -> bool:
    """`(x - y).pow(2)` and the like, of two things: `(x - x.mean()) ** 2` is a normaliser."""
    outer = module.parents.get(node)
    if isinstance(outer, ast.Attribute):
        measured = outer.attr in DISTANCES
    elif isinstance(outer, ast.Call):
        measured = module.dotted(outer.func).rpartition(".")[2] in DISTANCES
    else:
        measured = isinstance(outer, ast.BinOp) and isinstance(outer.op, ast.Pow)
    sides = [{part.id for part in ast.walk(side) if isinstance(part, ast.Name)} for side in (node.left, node.right)]
    return measured and all(sides) and sides[0] != sides[1]


def _varies(node: ast.expr) -> bool:
    """Whether an argument may be computed from data: a name, or an expression with one."""
    return any(isinstance(part, ast.Name) for part in ast.walk(node))


def _pinned(record: Record, objective: Objective, min_backwards: int) -> Finding | None:
    """One value for every batch, with gradients that are rounding errors: what varies does not reach it."""
    values = objective.values[np.isfinite(objective.values)]
    rows = record.rows("gradients", site=objective.number)
    sizes = [(numbers(row.get("grad")), numbers(row.get("weight"))) for row in rows]
    ratios = np.concatenate([np.array([]), *(grad / weight for grad, weight in sizes if len(grad) == len(weight))])
    ratios = ratios[np.isfinite(ratios)]
    if len(values) < max(min_backwards, PINNED_STEPS) or not len(ratios) or values[-1] == 0:
        return None
    if np.ptp(values) > ROUNDING * abs(values[-1]) or ratios.max() > ROUNDING:
        return None
    call = record.calls.get(objective.calls[0], {}) if objective.calls else {}
    width = (call.get("output") or {}).get("shape", [0])[-1:]
    text = f"the loss is {values[-1]:.7g} for each of {objective.count} batches, whatever the weights and the data"
    if call.get("fn") == "cross_entropy" and width and abs(values[-1] - np.log(max(1, width[0]))) < 1e-4:
        text += f": ln {width[0]}, the value of outputs that are the same for all classes"
    largest = f"the largest gradient is {ratios.max():.1g} of its weight, which is rounding"
    evidence = (
        Evidence(text, "objective", float(values[-1])),
        Evidence(largest, "gradients", float(ratios.max()), 0.0),
    )
    return Finding(record.site(call.get("site")) or objective.site, evidence, 0.9)


def _sums(record: Record, graphs: Rows) -> list[list[str]]:
    """The operations that made the terms of the loss, in the order of the sum, wherever the graph changed."""
    sites = {row.get("site") for row in graphs}
    rows: list[Row] = [row for row in record.rows("terms") if row.get("site") in sites]
    return [[str(term.get("op")) for term in row.get("of", [])] for row in rows]


def _stands_at(term: Addend, place: Site) -> bool:
    node = term.node
    return term.module.file == place.file and node.lineno <= place.line <= (node.end_lineno or node.lineno)


def _cut(source: Source, loss: Site | None, names: tuple[str, ...]) -> Site | None:
    """The operation that takes the gradient away, on the trail of the loss's first argument."""
    found = loss_call(source, loss.file, loss.line) if loss is not None else None
    output = argument(found[1], 0, "input") if found is not None else None
    if found is None or output is None:
        return None
    for point in Trail(source).of(found[0], output):
        if _takes_away(point.module, point.node, names):
            return site_at(point.module, point.node)
    return None


def _takes_away(module: Module, node: ast.expr, names: tuple[str, ...]) -> bool:
    if isinstance(node, ast.Call):
        return module.dotted(node.func).rpartition(".")[2] in names
    return isinstance(node, ast.Attribute) and node.attr in names


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Take the operation away."""
    title = "compute the loss from the outputs as they come from the model"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    for node in ast.walk(module.tree) if module is not None else ():
        if not isinstance(node, ast.expr) or site is None or node.lineno != site.line or module is None:
            continue
        if not _takes_away(module, node, (*CUTS, "clamp", "clip")):
            continue
        if isinstance(node, ast.Attribute):
            return [Remedy(title, "changes-training", (module.replace(node, module.segment(node.value)),))]
        if isinstance(node, ast.Call):
            method = isinstance(node.func, ast.Attribute) and module.dotted(node.func).startswith("?")
            inner = node.func.value if method and isinstance(node.func, ast.Attribute) else argument(node, 0, "input")
            if inner is not None:
                return [Remedy(title, "changes-training", (module.replace(node, module.segment(inner)),))]
    return [Remedy(title, "changes-training")]


def in_source(source: Source) -> Iterator[Finding]:
    """A loss of torch is given rounded outputs, or their signs."""
    for _, _, name, call in losses(source):
        made = reformed(call.argument(0, "input"))
        word, given = operation(made)
        if word not in STEPS or not isinstance(made, Call) or not any(True for _ in applied(given)):
            continue
        text = f"{name} is given outputs behind {word}, whose derivative is zero everywhere: no weight gets a gradient"
        yield Finding(site_of_layer(made), (Evidence(text),), 0.97)


CONDITION = Condition(
    "constant-loss",
    "error",
    needs=("loss_calls", "loss_values", "loss_arguments", "loss_terms", "gradients", "graph"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=(
        "vanishing-gradients",
        "uninformative-labels",
        "lr-too-low",
        "missing-step",
        "unscaled-target",
        "unused-parameters",
    ),
)
