"""Linear layers are stacked with nothing between them.

## What happens
A linear layer of a linear layer is a linear layer: without an activation between them, however many and however wide,
they compute one matrix product and can express nothing else. The network trains, gradients are fine, and the loss stops
where linear regression or logistic regression stops: two rings are told apart no better than by a coin, a digit set
still reaches a fair accuracy and hides it. Activations are often created in `__init__` and never called, or one was
lost when a Sequential became a subclass. Dropout, batch norm (in eval mode), pooling by mean and reshaping are linear.

## How it is told apart
Decided on the graph: every operation between the first and the last layer is linear, two dense or convolution layers at
least are composed, and a hidden width is no narrower than both ends, so that no low-rank factor was meant.
- `underfitting`: the network has its activations and is too small. `saturated-activations`: they are there, and flat.
- `dead-relu`: likewise, at zero. `restrictive-output`: an activation where none should be, after the last layer.
Not this: linear or logistic regression of one layer, matrix factorisation, LoRA pairs, linear autoencoders with a
narrow code, depthwise and pointwise convolutions, attention projections, a net that is linear because the task is.

## Remedy
    x = torch.relu(self.fc1(x))                      # an activation after every layer but the last
    nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1))

## Sources
- CS231n, Neural networks part 1: without the non-linearity the two matrices could be collapsed to one,
  https://cs231n.github.io/neural-networks-1/
- PyTorch, ReLU, https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record, Site
from ...record.record import Row
from ...source import Edit, Module, Source
from ...source.program import Value
from ...source.program.kinds import operation, settled, within
from ...source.program.queries import Entry, backward_of, entries
from ...source.program.values import Call, Const
from ...source.spelling import spelled, wrapped
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import LINEAR, listed
from ..questions import judged, layer_site, site_at, site_of_layer, standing

ACTIVATIONS = ("relu", "gelu", "tanh", "sigmoid", "silu", "elu", "selu", "leaky_relu", "softplus", "mish", "hardtanh")


def in_run(
    record: Record,
    source: Source,
    *,
    good_skill: float = 0.97,  # a linear model that explains so much is the right one: a linear task
    min_layers: int = 2,  # composed; one layer is a linear model on purpose
) -> Answer:
    """Everything between the first and the last layer is linear."""
    rows = record.rows("structure")
    if not rows:
        yield NotEvaluated("no structure was seen")
        return
    for entry in judged(record):
        mine = [row for row in rows if row.get("site") == entry.objective.number]
        if not mine or any(set(row.get("ops") or {}) - LINEAR for row in mine) or not all(r.get("ops") for r in mine):
            continue
        chain = _chain(record, mine[-1])
        if len(chain) < min_layers or not _wide(record, chain):
            continue
        names = [record.parameters[n].layer for n in chain]
        text = (
            f"{len(chain)} layers ({listed(names, 6)}) have only linear operations between them: together they are one "
            "linear map"
        )
        dropped = _dropped(source)
        yield Finding(
            (None if dropped is None else site_at(*dropped))
            or _used(source, names[0])
            or layer_site(record, source, chain[1]),  # what it is fed is linear in the input
            (
                Evidence(text, "structure", float(len(chain)), 1.0),
                Evidence(standing(entry), "objective", entry.last, entry.baseline),
            ),
            0.93,
            layer=names[0],
            severity="info" if entry.skill > good_skill else None,
            subject=names,
        )
        return


def _dropped(source: Source) -> tuple[Module, ast.Call] | None:
    """An activation that is computed and thrown away: `F.relu(x)` on a line of its own."""
    for module in source:
        for node in module.of_kind(ast.Expr):
            if isinstance(node.value, ast.Call) and _thrown(module, node.value):
                return module, node.value
    return None


def _thrown(module: Module, call: ast.Call) -> bool:
    home, _, name = module.dotted(call.func).rpartition(".")
    alone = len(call.args) == 1 and isinstance(call.args[0], ast.Name) and not call.keywords  # inplace=True changes x
    return alone and home in ("torch", "torch.nn.functional") and name in ACTIVATIONS


def _used(source: Source, layer: str) -> Site | None:
    """Where a layer that has an attribute of its own is called in a forward: there the activation is missing."""
    attribute = layer.rpartition(".")[2]
    for module in source:
        for call in module.calls(f"?.{attribute}"):
            function = module.enclosing(call, ast.FunctionDef)
            if isinstance(function, ast.FunctionDef) and function.name != "__init__":
                return site_at(module, call)
    return None


def _chain(record: Record, row: Row) -> list[int]:
    """Weights of the layers that follow each other."""
    found: list[int] = []
    for link in row.get("links") or []:
        number, before = link.get("param"), link.get("before")
        if number not in record.parameters:
            continue
        if (before is None and not found) or before is not None or found:
            found.append(number)
    return list(dict.fromkeys(found))


def _wide(record: Record, chain: list[int]) -> bool:
    """Whether some hidden layer is as wide as the narrower end: no low-rank factor, no code of an autoencoder."""
    shapes = [record.parameters[n].shape for n in chain]
    if any(len(shape) < 2 for shape in shapes):
        return False
    ends = min(max(shapes[0][1:2] or (1,)), shapes[-1][0])
    hidden = [shape[0] for shape in shapes[:-1]]
    return min(hidden) >= ends and max(hidden) > 1


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """An activation behind the hidden layers: an entry of their Sequential, or around their call in forward."""
    title = "put an activation (nn.ReLU(), nn.GELU()) after every layer but the last"
    names = finding.subject if isinstance(finding.subject, list) else []
    edits: list[Edit] = []
    dropped = _dropped(source)
    if dropped is not None and finding.site == site_at(*dropped):
        return [Remedy("keep what the activation gives", "changes-training", tuple(_kept(dropped[0])))]
    for name in names[:-1]:
        edit = _activated(source, name)
        if not edit:
            return [Remedy(title, "changes-training")]
        edits += edit
    return [Remedy(title, "changes-training", tuple(edits))]


def _kept(module: Module) -> list[Edit]:
    """`x = F.relu(x)` for each that is thrown away."""
    calls = [node.value for node in module.of_kind(ast.Expr) if isinstance(node.value, ast.Call)]
    thrown = [call for call in calls if _thrown(module, call)]
    return [module.replace(call, f"{module.segment(call.args[0])} = {module.segment(call)}") for call in thrown]


def _activated(source: Source, name: str) -> list[Edit]:
    found = source.layer(f"{name}.weight")
    if found is not None and isinstance(found[1], ast.Call):
        module, call = found[0], found[1]
        holder = module.parents.get(call)
        if isinstance(holder, ast.Call) and module.dotted(holder.func).endswith("Sequential"):
            prefix = module.segment(call.func).rpartition(".")[0]
            relu = f"{prefix}.ReLU()" if prefix else "torch.nn.ReLU()"
            return [module.replace(call, f"{module.segment(call)}, {relu}")]
        return []
    attribute = name.rpartition(".")[2]
    calls = [(m, call) for m in source for call in m.calls(f"?.{attribute}") if _in_forward(m, call)]
    if found is None or attribute.isdigit() or len(calls) != 1:
        return []
    module, call = calls[0]
    torch = spelled(module, "torch")
    return [] if torch is None else list(wrapped(module, call, f"{torch}.relu(", ")"))


def _in_forward(module: Module, call: ast.Call) -> bool:
    function = module.enclosing(call, ast.FunctionDef)
    return isinstance(function, ast.FunctionDef) and function.name == "forward"


def in_source(source: Source) -> Iterator[Finding]:
    """A linear layer is given what another made, over a width that is no bottleneck, with nothing between."""
    seen: set[ast.AST | None] = set()
    for entry in entries(source):
        uses = _uses(entry)
        for place in entry.places:
            second = place.event.result
            name, given = operation(second)
            if name != "Linear" or not isinstance(second, Call) or place.event.name != "call":
                continue
            first = _through(given)
            if first is None or first.node in seen or uses.get(id(first)) != 1 or not _widens(first, second):
                continue
            seen.add(first.node)
            width = _widths(first)[1]
            text = f"a linear layer of {width} outputs goes straight into another: together they are one linear map"
            yield Finding(site_of_layer(first), (Evidence(text),), 0.9, subject=[])
            break


def _uses(entry: Entry) -> dict[int, int]:
    """How often each value is used on the way to a loss that is sent back: a residual path uses it twice."""
    found: dict[int, int] = {}
    seen: set[int] = set()
    for place in entry.calls("backward"):
        for each in within(backward_of(place.event)):
            if id(each) not in seen:
                seen.add(id(each))
                for part in each.parts():
                    found[id(part)] = found.get(id(part), 0) + 1
    return found


def _through(value: Value | None) -> Call | None:
    """The linear layer's output behind dropout and the like."""
    for _ in range(4):
        value = settled(value)
        name, given = operation(value)
        if name == "Linear":
            return value if isinstance(value, Call) and isinstance(settled(value.fn), Call) else None
        if name not in ("Dropout", "Identity", "dropout"):
            return None
        value = given
    return None


def _widths(made: Call) -> tuple[object, object]:
    layer = settled(made.fn)
    sizes = (
        [layer.argument(i, word) for i, word in ((0, "in_features"), (1, "out_features"))]
        if isinstance(layer, Call)
        else []
    )
    values = [each.value if isinstance(each, Const) else None for each in sizes]
    return (values[0], values[1]) if len(values) == 2 else (None, None)


def _widens(first: Call, second: Call) -> bool:
    """Whether the width between is no smaller than at both ends: a factorisation into small ranks is meant."""
    (entrance, width), (_, out) = _widths(first), _widths(second)
    numbers = (entrance, width, out)
    if not all(isinstance(each, int) for each in numbers):
        return False
    return width >= entrance and width >= out and width > 1  # type: ignore[operator]


CONDITION = Condition(
    "missing-nonlinearity",
    "warning",
    needs=("structure", "parameters", "objective", "constant_loss"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("uninformative-labels",),
)
