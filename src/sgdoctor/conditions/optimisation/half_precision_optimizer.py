"""The weights themselves are in half precision, and the optimizer's arithmetic does not fit into it.

## What happens
`model.half()` (or `.to(torch.float16)`) is for inference. In training the weights, the gradients and the optimizer's
state are float16 then. Adam's eps of 1e-8 is zero in float16, and so is the square of any gradient below 2e-4: it
divides by zero, and the weights turn into NaN within a few steps. SGD survives, but an update smaller than 1/2048 of
its weight is rounded away (1/256 in bfloat16): the loss falls for a while and stops.

## How it is told apart
Decided on the type of the tensors that the optimizer holds, with a loss or weights that turn non-finite, or steps below
the resolution of the type in a run that does not learn.
- `nonfinite-loss`: what follows from it. `mixed-precision-misuse`: weights in float32, a scaler used wrongly.
- `lr-too-low`: steps are as small, but float32 holds them. `dtype-mismatch`: inputs of another type, which raises.
Not this: autocast, which leaves the weights in float32; bfloat16 runs that learn; optimizers that keep float32 copies.

## Remedy
Weights in float32, the forward pass under autocast:

    model = Net()                                        # no .half()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = criterion(model(x), y)

## Sources
- PyTorch, Automatic mixed precision package, https://docs.pytorch.org/docs/stable/amp.html
  [do not call half() on the model; autocast chooses per operation]
- Micikevicius et al., Mixed precision training, https://arxiv.org/abs/1710.03740
  [a float32 master copy of the weights, as updates below 1/2048 of a weight are lost]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.record import Optimizer, numbers
from ...record.steps import Steps
from ...source import Module, Source
from ...source.precision import in_single_precision
from ...source.program.kinds import is_module, options, settled
from ...source.program.queries import entries, owner_of, stepped
from ...source.program.values import Attr, Call, Value
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..doubts import asks, surer_when_better, weighed
from ..questions import fails, judged, middle, optimizers_of, site_at, site_of_event, standing

RESOLUTION = {"float16": 2.0**-11, "bfloat16": 2.0**-8}  # half a unit in the last place, relative to the weight
CASTS = ("float16", "half", "bfloat16")


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.5,  # of the elements that an optimizer holds: a layer or two in half precision are a choice
) -> Answer:
    """Half-precision weights that turn non-finite, or that small steps cannot move."""
    if not record.optimizers or not record.parameters:
        yield NotEvaluated("no optimizer was seen")
        return
    for optimizer in record.optimizers:
        kind = _kind(record, optimizer, min_share)
        if kind is None:
            continue
        broken = _broken(record, optimizer)
        for entry in judged(record) or []:
            if optimizer not in optimizers_of(record, entry.objective):
                continue
            broken = broken or bool(entry.nonfinite)
            ratio = middle(Steps(record, optimizer).ratios)
            lost = fails(entry) and ratio < 2 * RESOLUTION[kind]
            if not broken and not lost:
                continue
            how = "the run turned non-finite" if broken else f"a step of {ratio:.1g} of a weight is rounded away"
            text = (
                f"{optimizer.kind} works on {kind} weights (a change below {RESOLUTION[kind]:.1g} of a weight is lost"
                f"{', its eps of 1e-8 is zero' if kind == 'float16' and optimizer.adaptive else ''}): {how}"
            )
            evidence = (Evidence(text, "parameters", ratio), Evidence(standing(entry), "objective", entry.last))
            yield Finding(_cast(source) or optimizer.site, evidence, 0.96 if broken else 0.85, subject=kind)
            return


def _kind(record: Record, optimizer: Optimizer, min_share: float) -> str | None:
    sizes: dict[str, int] = {}
    for number in optimizer.parameters:
        known = record.parameters.get(number)
        if known is not None:
            sizes[known.dtype] = sizes.get(known.dtype, 0) + known.size
    total = sum(sizes.values())
    return next((kind for kind in RESOLUTION if total and sizes.get(kind, 0) >= min_share * total), None)


def _broken(record: Record, optimizer: Optimizer) -> bool:
    """Whether a weight or a change was seen to be not finite."""
    return any(
        not np.isfinite(numbers(row.get(name))).all() for row in optimizer.updates for name in ("weight", "change")
    )


def _cast(source: Source) -> Site | None:
    """Where the model is cast: `model.half()`, `.to(torch.float16)`, by the name whose parameters() are asked for.

    Else where half precision is made the default.
    """
    for module in source:
        held = _bound(module)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_cast(module, node, held):
                statement = module.enclosing(node, ast.stmt)
                targets = statement.targets if isinstance(statement, ast.Assign) else []
                names = [module.segment(node.func.value), *(module.segment(target) for target in targets)]
                if any(f"{name}.parameters(" in module.text for name in names):
                    return site_at(module, node)
    for module in source:
        for call in module.calls("torch.set_default_dtype"):
            if any(_is_half(module, value) for value in call.args):
                return site_at(module, call)
    return None


def _is_half(module: Module, value: ast.AST) -> bool:
    return module.dotted(value) in [f"torch.{cast}" for cast in CASTS]


def _is_cast(module: Module, call: ast.Call, held: set[str]) -> bool:
    name = module.dotted(call.func).rpartition(".")[2]
    if name in ("half", "bfloat16"):
        return True
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return name in ("to", "type") and any(_is_half(module, value) or _leaf(value) in held for value in values)


def _bound(module: Module) -> set[str]:
    """Names that stand for a half-precision type: assigned, a default, a keyword, an option of the command line."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign) and _is_half(module, node.value):
            found |= {_leaf(target) for target in node.targets}
        elif isinstance(node, ast.AnnAssign) and value is not None and _is_half(module, value):
            found.add(_leaf(node.target))
        elif isinstance(node, ast.keyword) and node.arg and _is_half(module, node.value):
            found.add(node.arg)
        elif isinstance(node, ast.arguments):
            given = node.args[len(node.args) - len(node.defaults) :]
            found |= {each.arg for each, default in zip(given, node.defaults) if _is_half(module, default)}
        elif isinstance(node, ast.Call) and any(_is_half(module, each.value) for each in node.keywords):
            found |= {
                text.lstrip("-").replace("-", "_")
                for text in (*(getattr(a, "value", None) for a in node.args), *_option(node))
                if isinstance(text, str)
            }
    return found - {""}


def _option(call: ast.Call) -> list[object]:
    return [getattr(each.value, "value", None) for each in call.keywords if each.arg == "dest"]


def _leaf(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Float32 weights, and float32 data with them."""
    title = (
        "keep the weights in float32; where half precision is wanted, run the forward pass under autocast (bfloat16)"
    )
    edits = in_single_precision(source, finding.subject) if isinstance(finding.subject, str) else []
    return [Remedy(title, "changes-training", tuple(edits))]


def in_source(source: Source) -> Iterator[Finding]:
    """An optimizer steps the parameters of a model that `half()` was called on."""
    for entry in entries(source):
        stepping = [settled(stepped(place.event)) for place in entry.calls("step")]
        held = {id(owner) for each in stepping for owner in _stepped_whole(each)}
        for place in entry.calls("half"):
            owner, result = owner_of(place.event), place.event.result
            if owner is None or not is_module(owner) or not {id(owner), id(result)} & held:
                continue
            text = "an optimizer steps float16 weights: a change below a thousandth of a weight is rounded away"
            yield Finding(site_of_event(place.event), (Evidence(text),), 0.9, subject="float16")


def _stepped_whole(optimizer: Value | None) -> list[Value]:
    """The model of an optimizer that was given just `model.parameters()`: master weights are made of more."""
    given = settled(optimizer.args[0]) if isinstance(optimizer, Call) and optimizer.args else None
    plain = isinstance(given, Call) and isinstance(given.fn, Attr) and given.fn.name == "parameters"
    return options(given.fn.of) if plain else []  # type: ignore[union-attr]


CONDITION = Condition(
    "half-precision-optimizer",
    "error",
    needs=("parameters", "optimizers", "updates", "objective"),
    in_run=in_run,
    in_source=in_source,
    suspects=asks(in_run, "double_precision"),
    in_experiment=weighed(in_run, double_precision=surer_when_better),
    remedies=remedies,
    explains=(
        "nonfinite-loss",
        "lr-too-low",
        "lr-too-high",
        "exploding-gradients",
        "uninformative-labels",
        "dead-relu",
    ),
)
