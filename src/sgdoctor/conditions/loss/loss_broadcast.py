"""Outputs and targets of different shapes are broadcast against each other in the loss.

## What happens
An output of shape (N, 1) against a target of (N) broadcasts to (N, N): every prediction is compared with every target
of the batch. The mean squared error then equals Var(p) + Var(y) + (mean p - mean y)^2, which is least for a constant
output: training drives all predictions to the batch mean and the loss settles at Var(y), as if the inputs were useless.
In a test the loss ended at 3.63 with Var(y) = 3.61 and predictions of spread 0.04; with equal shapes it reached 0.008.
`mse_loss`, `l1_loss`, `smooth_l1_loss` and `huber_loss` emit one UserWarning ("Using a target size ...") that scrolls
past; `gaussian_nll_loss`, `poisson_nll_loss` and handwritten `((p - y) ** 2).mean()` say nothing. BCE losses raise.

## How it is told apart
Decided on shapes at the loss: the two sizes differ, and the elementwise result has more elements than the output. In
handwritten losses the graph node under the mean shows the (N, N). Loss at Var(y) and spread of outputs near 0 confirm.
- `uninformative-labels`: also settles at Var(y), but the shapes agree and one batch can be memorised.
- `shape-mismatch`: the shapes cannot be broadcast, and it raises. `constant-output`: outputs constant by construction.
- `unscaled-target`, `lr-too-low`: the loss is still above Var(y), or falling.
Not this: a batch of one, scalars and weights of shape (1) or (N, 1) broadcast on purpose, pairwise or contrastive
losses that want the (N, N) matrix, several predictions per target ((S, N) against (N)), masks.

## Remedy
Give both the same shape, at the model's end or at the loss.

    prediction = model(x).squeeze(-1)                # (N, 1) to (N); never a bare squeeze(): it eats a batch of one
    loss = F.mse_loss(prediction, y)                 # or F.mse_loss(model(x), y.unsqueeze(-1))
    assert prediction.shape == y.shape               # cheap, and it would have shouted

To find the other places, `warnings.filterwarnings("error", message="Using a target size")` makes the warning an error.

## Sources
- pytorch issue 16045, https://github.com/pytorch/pytorch/issues/16045
  [(n, 1) against (n): the loss of a linear regression does not fall]
- pytorch pull request 18349, https://github.com/pytorch/pytorch/pull/18349 [where the warning comes from]
- pytorch issue 16413, https://github.com/pytorch/pytorch/issues/16413 [two hours lost; a user asks for a warning]
- TALENT pull request 92, https://github.com/LAMDA-Tabular/TALENT/pull/92 [silent (n, n) in a published library]
"""

from __future__ import annotations

import ast

from ...record import Record, Row, Site
from ...source import Edit, Module, Source
from ...source.flow import Point, Trail
from ...source.loss import argument, loss_call
from ...source.output import output_of
from ...source.spelling import parts
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at

ELEMENTWISE = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss", "gaussian_nll_loss", "soft_margin_loss",
)  # fmt: skip
Meeting = tuple[Site | None, tuple[int, ...], tuple[int, ...] | None]  # line, outputs, targets
LAYERS = ("AddmmBackward", "MmBackward", "MvBackward", "BmmBackward", "LinearBackward", "ConvolutionBackward")
ARITHMETIC = ("SubBackward0", "MulBackward0", "DivBackward0", "AddBackward0", "RsubBackward0")


def in_run(
    record: Record,
    source: Source,
    *,
    min_size: int = 2,  # a batch of one broadcasts to itself
) -> Answer:
    """Outputs and targets of different shape meet in an element-wise loss and broadcast to a larger one."""
    if not record.rows("graph") and not record.calls:
        yield NotEvaluated("no loss was seen")
        return
    for call in record.calls.values():
        if not call.get("grad") or call.get("fn") not in ELEMENTWISE:
            continue
        output, target = _shape(call.get("output")), _shape(call.get("target"))
        together = broadcast(output, target)
        if together is None or _count(together) <= _count(output) or _count(output) < min_size:
            continue
        site = record.site(call.get("site"))
        yield Finding(site, (_evidence(output, target, together),), 0.98, subject=_meetings(record, site))
        return
    for row in record.rows("graph"):
        found = _by_hand(row)
        if found is not None and found[0][0] >= min_size:
            objective = next((o for o in record.objectives if o.number == row.get("site")), None)
            output, together = found
            site = (
                _difference(source, objective.site.file, objective.site.line) if objective and objective.site else None
            )
            yield Finding(site, (_evidence(output, None, together),), 0.95, subject=((None, output, None),))
            return


def _meetings(record: Record, first: Site | None) -> tuple[Meeting, ...]:
    """Where else, in validation too, outputs and targets of such shapes meet; the one that is named first."""
    found: dict[Site, Meeting] = {}
    for call in record.calls.values():
        site = record.site(call.get("site"))
        output, target = _shape(call.get("output")), _shape(call.get("target"))
        together = broadcast(output, target)
        if site is None or call.get("fn") not in ELEMENTWISE or together is None or _count(together) <= _count(output):
            continue
        found.setdefault(site, (site, output, target))
    return tuple(sorted(found.values(), key=lambda meeting: meeting[0] != first))


def _by_hand(row: Row) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """(shape of the outputs, shape they were broadcast to) where arithmetic next to the loss squares the batch."""
    # `x + bias` of a batch as long as the layer is wide has the same shapes: arithmetic with a parameter is a layer.
    layers = [(one[0], tuple(one[2])) for one in row.get("layers") or [] if len(one) == 3]
    for entry in row.get("head") or []:
        if isinstance(entry, list) and entry and str(entry[0]).startswith(LAYERS):
            return None  # below the outputs a batch may well be as large as a layer is wide
        if not (isinstance(entry, list) and len(entry) == 3) or entry[0] not in ARITHMETIC:
            continue
        shape, inputs = tuple(entry[1]), entry[2]
        known = [tuple(one) for one in inputs if isinstance(one, list)]
        # Two tensors that both carry gradient are compared pairwise on purpose (contrastive losses).
        if len(known) != 1 or len(inputs) != 2 or len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
            continue
        if (entry[0], shape) in layers:
            continue
        if known[0] in ((shape[0],), (shape[0], 1), (1, shape[0])):
            return known[0], shape
    return None


def _difference(source: Source, file: str, line: int) -> Site | None:
    """The statement whose value the backward at a line takes: where the loss is computed by hand."""
    module = source.module(file)
    statement = module.statement_with(line, "backward") if module is not None else None
    if module is None or statement is None:
        return None
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and node.attr == "backward":
            points = Trail(source).of(module, node.value)
            for point, behind in zip(points, [*points[1:], None]):
                if any(isinstance(part, ast.BinOp) for part in ast.walk(point.node)):
                    return site_at(point.module, point.node)
                if behind is not None and _opaque(point, behind):
                    return site_at(point.module, point.node)
    return site_at(module, statement)


def _opaque(point: Point, behind: Point) -> bool:
    """Whether a trail goes on from a call to its argument, past a loss whose body is not to be seen."""
    node = point.node
    given = isinstance(node, ast.Call) and any(behind.node is each for each in node.args)
    return given and isinstance(node, ast.Call) and not point.module.dotted(node.func).startswith("torch.")


def broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape two shapes broadcast to; None where they do not."""
    length = max(len(one), len(other))
    pairs = zip((1,) * (length - len(one)) + one, (1,) * (length - len(other)) + other)
    sizes = []
    for left, right in pairs:
        if left != right and 1 not in (left, right):
            return None
        sizes.append(max(left, right))
    return tuple(sizes)


def _evidence(output: tuple[int, ...], target: tuple[int, ...] | None, together: tuple[int, ...]) -> Evidence:
    given = f"outputs {list(output)} meet targets {list(target)}" if target is not None else f"outputs {list(output)}"
    times = _count(together) // max(1, _count(output))
    return Evidence(
        f"{given} and broadcast to {list(together)}: every output is compared with {times} targets instead of its own, "
        "so the best it can do is their mean",
        "loss_calls",
        float(_count(together)),
        float(_count(output)),
    )


def _shape(tensor: object) -> tuple[int, ...]:
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    return tuple(int(size) for size in shape if isinstance(size, int)) if isinstance(shape, list) else ()


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Give the targets the shape of the outputs, at every loss where they differ."""
    title = "give both the same shape, e.g. target.view_as(output)"
    site = finding.site
    meetings = finding.subject if isinstance(finding.subject, tuple) else ()
    edits: list[Edit] = []
    for place, output, target in meetings:
        found = loss_call(source, place.file, place.line) if place is not None else None
        if found is not None and target is not None:
            edits += _alike(found[0], found[1], output, target)
    if edits:
        return [Remedy(f"give the targets the outputs' shape {list(meetings[0][1])}", "safe", tuple(edits))]
    if site is not None and meetings:
        edits = _by_hand_edits(source, site, meetings[0][1])
    return [Remedy(title, "safe", tuple(edits))]


def _alike(module: Module, call: ast.Call, output: tuple[int, ...], target: tuple[int, ...]) -> list[Edit]:
    """The target's shape changed where a loss is called with both."""
    given, wanted = argument(call, 0, "input"), argument(call, 1, "target")
    if given is None or wanted is None:
        return []
    if isinstance(given, (ast.Name, ast.Attribute)) and _count(output) == _count(target):
        change = f".view_as({module.segment(given)})"
    elif (*target, 1) == output:
        change = ".unsqueeze(1)" if len(output) == 2 else ".unsqueeze(-1)"
    elif (*output, 1) == target:
        change = ".squeeze(-1)"
    elif _count(output) == _count(target):
        change = f".reshape({', '.join(['-1', *map(str, output[1:])])})"
    else:
        return []
    return [*parts(module, wanted, "", change)]


def _by_hand_edits(source: Source, site: Site, output: tuple[int, ...]) -> list[Edit]:
    """The target's shape changed in the difference of a loss that is written by hand."""
    module = source.module(site.file)
    statement = module.statement_at(site.line) if module is not None else None
    if module is None or statement is None:
        return []
    found = [node for node in ast.walk(statement) if isinstance(node, ast.BinOp) and not _plain(node)]
    found.sort(key=lambda node: not isinstance(node.op, ast.Sub))
    for node in found:
        left, right = _is_output(source, module, node.left), _is_output(source, module, node.right)
        if max(left, right) or all(isinstance(side, ast.Name) for side in (node.left, node.right)):
            given, wanted = (node.left, node.right) if left >= right else (node.right, node.left)
            shape = ", ".join(["-1", *map(str, output[1:])])
            change = f".view_as({given.id})" if isinstance(given, ast.Name) else f".reshape({shape})"
            return [*parts(module, wanted, "", change)]
    return []


def _plain(node: ast.BinOp) -> bool:
    return any(isinstance(side, ast.Constant) for side in (node.left, node.right)) or isinstance(node.op, ast.Pow)


def _is_output(source: Source, module: Module, node: ast.expr) -> int:
    """How surely an expression comes from a model: 2 for a module's call, 1 for the script's own arithmetic."""
    trail = output_of(source, module, node)
    if trail.model is not None:
        return 2
    return int(
        any(isinstance(point.node, ast.BinOp) and isinstance(point.node.op, ast.MatMult) for point in trail.points)
    )


CONDITION = Condition(
    "loss-broadcast",
    "error",
    needs=("loss_calls", "graph"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
)
