"""The last activation cannot reach the targets.

## What happens
A ReLU after the last layer puts out nothing below zero, sigmoid nothing outside 0 to 1, tanh nothing outside -1 to 1.
If the targets lie there, a part of the loss can never be removed: the output is pressed against its limit, where the
activation is flat (sigmoid, tanh) or has no slope at all (ReLU), so that gradients vanish as well and units die. On
logits the same activations bound how sure a classifier may be: with a sigmoid before cross-entropy of K classes the
loss cannot fall below ln(1 + (K - 1)/e), 1.46 for ten, and a ReLU makes all classes equal that it sets to zero.

## How it is told apart
Decided on the operation between the last layer and the loss, and on ranges: what it can put out against what the
targets take, over all batches looked at. For cross-entropy and with-logits losses the operation itself decides.
- `double-softmax`, `double-sigmoid`: the loss applies the same function again; those names lead.
- `unscaled-target`: the output is free, the targets are merely far away. `dead-relu`: hidden units.
- `saturated-activations`: inside the network. `constant-output`: the range is one point.
Not this: sigmoid for targets in 0 to 1, tanh for images scaled to -1 to 1, softplus or exp for counts and variances,
`10 * tanh(x)` on scores of a policy, ReLU for targets that are never negative.

## Remedy
Leave the last layer linear, or scale the targets into the range (and back at prediction).

    return self.head(h)                              # was torch.relu(self.head(h))

## Sources
- CS231n, Neural networks part 1: the output layer most commonly has no activation,
  https://cs231n.github.io/neural-networks-1/
- PyTorch, CrossEntropyLoss: the input is expected to contain the unnormalized logits,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.record import Row, Rows
from ...source import Module, Source
from ...source.flow import Trail
from ...source.loss import argument, loss_call
from ...source.program.kinds import operation, reformed
from ...source.program.queries import losses
from ...source.program.values import Call
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_layer

SHAPES = frozenset(
    (
        "SqueezeBackward0", "SqueezeBackward1", "UnsqueezeBackward0", "ViewBackward0", "ReshapeAliasBackward0",
        "TransposeBackward0", "PermuteBackward0", "SelectBackward0", "SliceBackward0", "CloneBackward0", "TBackward0",
        "UnsafeViewBackward0", "ToCopyBackward0", "SqueezeBackward2", "AliasBackward0",
    )
)  # fmt: skip
RANGES = {
    "ReluBackward0": ("ReLU", 0.0, math.inf),
    "SigmoidBackward0": ("sigmoid", 0.0, 1.0),
    "TanhBackward0": ("tanh", -1.0, 1.0),
    "SoftmaxBackward0": ("softmax", 0.0, 1.0),
    "SoftplusBackward0": ("softplus", 0.0, math.inf),
    "ExpBackward0": ("exp", 0.0, math.inf),
}
WORDS = {
    "ReLU": ("relu", "ReLU", "relu_", "ReLU6"),
    "sigmoid": ("sigmoid", "Sigmoid", "sigmoid_"),
    "tanh": ("tanh", "Tanh", "tanh_"),
    "softmax": ("softmax", "Softmax"),
    "softplus": ("softplus", "Softplus"),
    "exp": ("exp",),
}
REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
LOGITS = {"cross_entropy": ("ReLU", "sigmoid", "tanh"), "binary_cross_entropy_with_logits": ("ReLU", "tanh")}


def in_run(
    record: Record,
    source: Source,
    *,
    margin: float = 0.1,  # of the targets' spread beyond the range: smoothed or noisy labels stay inside
) -> Answer:
    """Targets lie outside what the last activation can put out."""
    tails = [(tail, call) for tail, call in _tails(record) if call.get("grad")]
    if not tails:
        yield NotEvaluated("no loss function with the layer before it was seen")
        return
    for tail, call in tails:
        kind = _last(tail)
        if kind is None:
            continue
        name, low, high = RANGES[kind]
        samples = record.rows("loss", call=call["i"], grad=True)
        if call.get("fn") in LOGITS and name in LOGITS[call["fn"]]:
            text = (
                f"the logits that {call['fn']} is given come out of a {name}: they cannot be "
                + ("negative" if high == math.inf else f"outside {low:.0f} to {high:.0f}")
                + _floor(call, name)
            )
            evidence = Evidence(text, "structure")
        elif call.get("fn") in REGRESSION:
            found = _outside(samples, name, low, high, margin)
            if found is None:
                continue
            evidence = found
        else:
            continue
        site = _site(record, source, call, name)
        yield Finding(site or record.site(call.get("site")), (evidence,), 0.94, subject=name)
        return


def _tails(record: Record) -> Iterator[tuple[Row, Row]]:
    seen = set()
    for row in record.rows("structure"):
        for tail in row.get("tails") or []:
            call = record.calls.get(tail.get("call", -1))
            if call is not None and call["i"] not in seen:
                seen.add(call["i"])
                yield tail, call


def _last(tail: Row) -> str | None:
    """The first operation behind the loss that is not one of shape, where it is an activation right at the layer."""
    ops = [op[0] for op in tail.get("ops") or []][1:]
    ops = [name for name in ops if name not in SHAPES and not name.startswith(("NllLoss", "LogSoftmax"))]
    return ops[0] if ops and ops[0] in RANGES and (tail.get("layer") or len(ops) > 1) else None


def _outside(samples: Rows, name: str, low: float, high: float, margin: float) -> Evidence | None:
    least, most = samples.column("target.min"), samples.column("target.max")
    spread = samples.column("target.std")
    known = np.isfinite(least) & np.isfinite(most)
    if not known.any():
        return None
    smallest, largest = float(least[known].min()), float(most[known].max())
    room = margin * float(np.nanmax(spread, initial=0.0))
    if not (smallest < low - room or largest > high + room):
        return None
    bounds = "0 and more" if high == math.inf else f"{low:.0f} to {high:.0f}"
    text = f"the output comes out of a {name}, range {bounds}; the targets go from {smallest:.3g} to {largest:.3g}"
    outside = largest if largest > high else smallest
    return Evidence(text, "loss_values", outside, high if largest > high else low)


def _floor(call: Row, name: str) -> str:
    shape = (call.get("output") or {}).get("shape") or []
    if call.get("fn") != "cross_entropy" or len(shape) < 2 or name == "ReLU":
        return ""
    reach = 2.0 if name == "tanh" else 1.0
    return f", so that the loss cannot fall below {math.log(1 + (shape[1] - 1) * math.exp(-reach)):.3f}"


def _site(record: Record, source: Source, call: Row, name: str) -> Site | None:
    """The activation on the trail of the loss's input, else the last one of its kind that is returned or ends a net."""
    at = record.site(call.get("site"))
    made = loss_call(source, at.file, at.line) if at is not None else None
    if made is not None:
        value = argument(made[1], 0, "input")
        for point in Trail(source).of(made[0], value) if value is not None else []:
            if _is(point.module, point.node, name):
                return site_at(point.module, point.node)
    found = [(m, n) for m in source for n in ast.walk(m.tree) if isinstance(n, ast.Call) and _is(m, n, name)]
    found.sort(key=lambda entry: (_rank(*entry), entry[1].lineno))
    return site_at(*found[-1]) if found else None


def _is(module: Module, node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and module.dotted(node.func).rpartition(".")[2] in WORDS[name]


def _rank(module: Module, call: ast.Call) -> int:
    outer = module.parents.get(call)
    if isinstance(outer, ast.Call) and module.dotted(outer.func).endswith("Sequential"):
        return 3 if outer.args and outer.args[-1] is call else 0
    return 3 if module.enclosing(call, ast.Return, ast.FunctionDef).__class__ is ast.Return else 1


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Without the activation."""
    title = "leave the last layer linear: take the activation after it away"
    module = source.module(finding.site.file) if finding.site is not None else None
    if module is None or finding.site is None or not isinstance(finding.subject, str):
        return [Remedy(title, "changes-training")]
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or node.lineno != finding.site.line or not _is(module, node, finding.subject):
            continue
        outer = module.parents.get(node)
        method = isinstance(node.func, ast.Attribute) and module.dotted(node.func).startswith("?")
        if node.args and not isinstance(node.args[0], ast.Starred):
            return [Remedy(title, "changes-training", (module.replace(node, module.segment(node.args[0])),))]
        if isinstance(outer, ast.Call) and not node.args and not method:
            prefix = module.segment(node.func).rpartition(".")[0]
            same = f"{prefix}.Identity()" if prefix else "torch.nn.Identity()"
            return [Remedy(title, "changes-training", (module.replace(node, same),))]
        if method and isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
            return [Remedy(title, "changes-training", (module.replace(node, module.segment(node.func.value)),))]
    return [Remedy(title, "changes-training")]


def in_source(source: Source) -> Iterator[Finding]:
    """Logits come straight out of an activation with a bound."""
    for _, _, name, call in losses(source):
        made = reformed(call.argument(0, "input"))
        kind, given = operation(made)
        word = next((word for word in LOGITS.get(name, ()) if kind in WORDS[word]), None)
        # The activation of a hidden layer whose units serve as logits of something else has no layer before it.
        if word is None or not isinstance(made, Call) or operation(reformed(given))[0] not in ("Linear", "linear"):
            continue
        text = f"the logits that {name} is given come out of a {word} behind the last layer"
        yield Finding(site_of_layer(made), (Evidence(text),), 0.95, subject=word)


CONDITION = Condition(
    "restrictive-output",
    "error",
    needs=("structure", "loss_calls", "loss_values"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=(
        "unscaled-target", "dead-relu", "saturated-activations", "vanishing-gradients", "uninformative-labels",
        "lr-too-low",
    ),
)  # fmt: skip
