"""The output cannot vary: an axis of length 1 is normalised, or the input is lost on the way.

## What happens
Softmax over one value is 1, whatever the value: exp(z) / exp(z). So a model with one output unit and a softmax answers
1 for every sample, and attention whose scores have shape (batch, time, 1) and are normalised over the last axis weighs
every time step by 1. A layer norm over one feature puts out its bias. The gradient through such an operation is exactly
zero, so everything behind it stays as it was, and the loss stands at what a constant answer costs: for binary
cross-entropy a clamped 100 times the share of the other class.

## How it is told apart
Decided on the graph: a softmax or layer norm whose reduced axis has length 1, fed by a layer with one output. Or on
the activations: from one place to the next the spread over samples falls from a percent of the values and more to
rounding, at every look, while the values are not zero, as where a mask hides what it should keep.
- `single-logit-cross-entropy`: the softmax is inside the loss. `batch-mixing`: a wrong axis that is longer than 1.
- `restrictive-output`: the output varies, in too small a range. `symmetric-init`, `dead-relu`: it could vary and does
  not. `constant-loss`: the output varies and the loss does not see it.
Not this: attention over a sequence that happens to have one element, softmax over two outputs.

## Remedy
    return torch.sigmoid(self.out(h))                # one unit: sigmoid; or logits with BCEWithLogitsLoss
    weights = torch.softmax(scores, dim=1)           # (batch, time, 1): over time

## Sources
- PyTorch, Softmax: dim is the dimension along which it sums to 1,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
- PyTorch, LayerNorm: statistics over the last dimensions of normalized_shape,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ...record import Record, Site
from ...record.record import Row
from ...record.steps import Activation, activations
from ...source import Module, Source
from ...source.numbers import literals
from ...source.program.kinds import operation, reformed, settled, within
from ...source.program.queries import losses
from ...source.program.values import Call, Const
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged, layer_name, layer_site, site_at, site_of_layer, standing

NAMES = {
    "SoftmaxBackward0": ("softmax", "Softmax"),
    "LogSoftmaxBackward0": ("log_softmax", "LogSoftmax"),
    "NativeLayerNormBackward0": ("layer_norm", "LayerNorm"),
}
MASKS = ("?.masked_fill", "?.masked_fill_", "torch.masked_fill")
MIN_LOOKS = 3
CONVOLUTION = "ConvolutionBackward0"
PROJECTIONS = ("AddmmBackward0", "LinearBackward0", "MmBackward0", CONVOLUTION, "AddBackward0")


def in_run(
    record: Record,
    source: Source,
    *,
    length: int = 1,  # of the reduced axis: by construction, the only one that leaves no freedom
) -> Answer:
    """A softmax or layer norm reduces an axis of length 1."""
    rows = record.rows("structure")
    if not rows:
        yield NotEvaluated("no structure was seen")
        return
    heads = {call.get("fn") for call in record.calls.values()}
    for row in rows:
        for entry in row.get("single") or []:
            op, shape = str(entry.get("op")), list(entry.get("shape") or [])
            if op == "LogSoftmaxBackward0" and "cross_entropy" in heads:
                continue  # the softmax inside the loss: single-logit-cross-entropy
            if op != "NativeLayerNormBackward0" and not _fed_by_one(record, entry, shape, length):
                continue
            name = NAMES[op][0] if op in NAMES else op
            text = (
                f"{name} over an axis of length {length} (shape {shape}): what comes out is the same for every input, "
                "and no gradient passes it"
            )
            found = _call(source, op, shape)
            evidence = Evidence(text, "structure", float(length), 2.0)
            yield Finding(_narrow(source, found, length) or _site(found), (evidence,), 0.97, subject=(op, shape))
            return
    yield from _lost(record, source)


def _lost(
    record: Record,
    source: Source,
    *,
    varied: float = 1e-2,  # spread over samples in units of the values': what a place before the loss of it has
    same: float = 1e-6,  # the same for every sample: equal up to float32 rounding
) -> Answer:
    """From one place to the next all difference between samples is gone, at every look, though the values are not zero.

    It fades slowly in a net that is too deep, and is zero altogether behind dead units: neither has such a jump.
    """
    for entry in judged(record):
        places = [place for place in activations(record, entry.objective.number) if place.after]
        for before, place in pairwise(places):
            spread, std = place.columns["spread"], place.columns["std"]
            lost = len(spread) >= MIN_LOOKS and bool(np.all((std > 0) & (spread <= same * std)))
            if not lost or not _varies(before, varied):
                continue
            layer = layer_name(record, place.parameter)
            text = (
                f"what {layer or 'a layer'} is fed differs between samples no more than by rounding, while the "
                f"{before.kind} before it does: on the way the input is lost"
            )
            site = _hides(source) or layer_site(record, source, place.parameter)
            evidence = (
                Evidence(text, "activations", float(np.max(spread / std)), varied),
                Evidence(standing(entry), "objective", entry.last, entry.baseline),
            )
            yield Finding(site, evidence, 0.85, layer=layer)
            return


def _varies(place: Activation, varied: float) -> bool:
    return bool(np.all(place.columns["spread"] > varied * place.columns["std"]))


def _hides(source: Source) -> Site | None:
    """The mask that a class of the script fills in: it may hide all that it should keep."""
    for module in source:
        for call in module.calls(*MASKS):
            if module.enclosing(call, ast.ClassDef) is not None:
                return site_at(module, call)
    return None


def _fed_by_one(record: Record, entry: Row, shape: list[int], length: int) -> bool:
    """Whether a layer with one output feeds it: scores of an attention over one element come from a product."""
    known = record.parameters.get(entry.get("param", -1))
    if entry.get("kind") not in PROJECTIONS or known is None or len(shape) < 2:
        return False
    if entry.get("kind") == CONVOLUTION:  # one channel: a map of numbers, each normalised on its own
        return known.shape[0] == shape[1] == length and min([*shape[2:], 2]) > length
    return shape[-1] == length and (len(shape) == 2 or max(shape[1:-1]) > 1) and length in known.shape


def _narrow(source: Source, found: tuple[Module, ast.Call] | None, length: int) -> Site | None:
    """Where a block of the script is given the one feature that its norm has."""
    if found is None or not found[1].args or isinstance(found[1].args[0], ast.Constant):
        return None
    given = literals(source, found[0], found[1].args[0])
    return next((site_at(each.module, each.node) for each in given if each.value == length), None)


def _site(found: tuple[Module, ast.Call] | None) -> Site | None:
    """Where it is applied, by its attribute in a forward; else where it is made."""
    if found is None:
        return None
    module, call = found
    outer = module.parents.get(call)
    for target in outer.targets if isinstance(outer, ast.Assign) else []:
        if isinstance(target, ast.Attribute):
            for used in module.calls(f"?.{target.attr}"):
                if not isinstance(module.parents.get(used), ast.Assign) or used is not call:
                    return site_at(module, used)
    return site_at(module, call)


def _call(source: Source, op: str, shape: list[int]) -> tuple[Module, ast.Call] | None:
    """The call whose axis is the one that has length 1; a later one wins."""
    axis = _reduced(shape)
    wanted = {axis, axis - len(shape)}
    found = []
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and module.dotted(node.func).rpartition(".")[2] in NAMES.get(op, ()):
                found.append((_axis(node) in wanted or op.startswith("Native"), node.lineno, module, node))
    found.sort(key=lambda entry: entry[:2])
    return (found[-1][2], found[-1][3]) if found else None


def _reduced(shape: list[int]) -> int:
    """The axis of length 1: the last one, or that of the channels."""
    return len(shape) - 1 if shape[-1:] == [1] else 1


def _axis(call: ast.Call) -> int | None:
    values = [keyword.value for keyword in call.keywords if keyword.arg in ("dim", "axis")] or list(call.args[-1:])
    for value in values:
        try:
            found = ast.literal_eval(value)
        except ValueError:
            continue
        if isinstance(found, int):
            return found
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Sigmoid for one unit; the axis before it for a sequence of scores."""
    op, shape = finding.subject if isinstance(finding.subject, tuple) else ("", [])
    found = _call(source, op, shape)
    if found is None or not op.startswith("Softmax"):
        return [Remedy("normalise over an axis with more than one element, or not at all", "changes-training")]
    module, call = found
    if shape and _reduced(shape) == 1:
        title = "one unit takes a sigmoid, not a softmax"
        name = module.dotted(call.func)
        if call.args and not name.startswith("torch.nn.Softmax") and "torch" in module.names:
            function = f"{module.names['torch'] and 'torch'}.sigmoid({module.segment(call.args[0])})"
            if not name.startswith("?"):
                return [Remedy(title, "changes-training", (module.replace(call, function),))]
        if name == "torch.nn.Softmax":
            prefix = module.segment(call.func).rpartition(".")[0]
            if prefix:
                return [Remedy(title, "changes-training", (module.replace(call, f"{prefix}.Sigmoid()"),))]
        return [Remedy(title, "changes-training")]
    for value in [k.value for k in call.keywords if k.arg == "dim"] or list(call.args[-1:]):
        if _axis(call) is not None:
            edit = module.replace(value, str(len(shape) - 2))
            return [Remedy("normalise over the sequence", "changes-training", (edit,))]
    return [Remedy("normalise over the sequence", "changes-training")]


def in_source(source: Source) -> Iterator[Finding]:
    """What goes into a loss, or is compared, is a softmax over the single output of a linear layer."""
    for _, place, name, call in losses(source):
        for each in within(call.argument(0, "input"), stop=lambda value: operation(value)[0] == "softmax"):
            if not isinstance(each, Call) or operation(each)[0] != "softmax":
                continue
            linear = settled(operation(each)[1])
            layer = settled(linear.fn) if isinstance(linear, Call) and operation(linear)[0] == "Linear" else None
            width = layer.argument(1, "out_features") if isinstance(layer, Call) else None
            binary = name == "binary_cross_entropy" and reformed(call.argument(0, "input")) is each
            if isinstance(width, Const) and width.value == 1 and _axis_of(each) in ((1, -1) if binary else (-1,)):
                text = f"a softmax over one unit is always 1: the loss at line {place.event.line} sees no input"
                yield Finding(site_of_layer(each), (Evidence(text),), 0.97, subject=("Softmax", [0, 1]))
                return


def _axis_of(softmax: Call) -> object:
    """The axis it sums over, as a literal. Axis 1 may be one of positions, unless each sample has one probability."""
    layer = settled(softmax.fn)
    axis = layer.argument(0, "dim") if isinstance(layer, Call) else softmax.argument(1, "dim")
    return axis.value if isinstance(axis, Const) else None


CONDITION = Condition(
    "constant-output",
    "error",
    needs=("structure", "loss_calls", "activations", "objective", "constant_loss"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=(
        "missing-step", "vanishing-gradients", "uninformative-labels", "lr-too-low", "unused-parameters",
        "restrictive-output",
    ),
)  # fmt: skip
