"""Inputs or targets hold a NaN or an infinity.

## What happens
One NaN is enough: it passes through every layer, the loss of that batch is NaN, its gradient makes every weight NaN,
and from then on the network gives NaN for clean samples too. It looks like a divergence and is treated as one, with
smaller learning rates and gradient clipping, which cannot help. Typical origins: empty cells of a table, a division by
the standard deviation of a column that never varies, the logarithm of a zero, a sensor's "no reading", a value beyond
65504 in float16. The fault often sits in one row of thousands, so that the loss is sound until that row is drawn.

## How it is told apart
Decided on what reaches the first layer, and on the targets, of the batch whose loss was the first that is not finite;
every weight was still finite then. The place of the first such value is named.
- `nonfinite-loss`: the data are finite, and an operation of the model or the loss gives birth to the NaN.
- `exploding-gradients` and `lr-too-high`: the weights overflow first; here they were sound when the batch arrived.
- `lossy-cast`: the infinity was made by a cast to half precision.
Not this: NaN that marks missing targets and is masked before the loss, which stays finite.

## Remedy
Find where the value comes from, and repair or drop the samples there; fill a gap with the column's training mean.

    assert torch.isfinite(x).all(), "inputs"
    keep = torch.isfinite(x).all(dim=1) & torch.isfinite(y)
    x, y = x[keep], y[keep]

A division wants a floor under its divisor, `(x - mean) / std.clamp_min(1e-6)`; a logarithm wants `torch.log1p`, or a
clamp of its argument. `torch.nan_to_num` in front of the model is a last resort: it hides how many there are.

## Sources
- PyTorch, torch.isfinite, https://docs.pytorch.org/docs/stable/generated/torch.isfinite.html
- PyTorch, torch.nan_to_num, https://docs.pytorch.org/docs/stable/generated/torch.nan_to_num.html
- scikit-learn, Imputation of missing values, https://scikit-learn.org/stable/modules/impute.html
  [what to put in place of a missing value, learnt from the training split]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Record, Row, Site
from ...record.record import Objective
from ...source import Source
from ...source.flow import Point
from ...source.loading import origin
from ...source.loss import CONVERSIONS, trails
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import layer_name, loss_site, site_of

BIRTHS = ("log", "log2", "log10", "sqrt", "divide", "true_divide", "reciprocal", "arccos", "arcsin")

READERS = (
    *("numpy.genfromtxt", "numpy.loadtxt", "pandas.read_csv", "pandas.read_table", "pandas.read_excel"),
    *("pandas.read_parquet", "pandas.read_json", "pandas.read_sql"),
)


def in_run(record: Record, source: Source) -> Answer:
    """The first loss that is not finite was computed from data that are not."""
    if not record.rows("objective"):
        yield NotEvaluated("no loss was backpropagated")
        return
    firsts = {objective.number: _first_bad(objective) for objective in record.objectives}
    for row in record.rows("bad"):
        first = firsts.get(row.get("site"))
        count = row.get("n")
        if first is None or not isinstance(count, int) or not row.get("sound"):
            continue
        low, high = first
        if low == high == count + 1 and row.get("where") == "input" and _calm(record, row):
            # An activation bounds what is infinite, and the loss is sound; the gradient of the weights is not.
            yield _finding(record, source, row)
            return
        # A loss that is sound on such data masks them; one that went before says that something else came first.
        earlier = any(other is not None and other[1] < count for other in firsts.values())
        if not low <= count <= high or earlier:
            continue
        yield _finding(record, source, row)
        return


def _calm(record: Record, row: Row, most: float = 10.0) -> bool:
    """Whether the loss of that step was about that of the first, so that no divergence was under way."""
    objective = next(each for each in record.objectives if each.number == row.get("site"))
    ends = np.cumsum(objective.weights)
    index = int(np.searchsorted(ends, int(row.get("n") or 0), side="right"))
    values = objective.values
    return bool(index < len(values) and np.isfinite(values[index]) and abs(values[index]) <= most * abs(values[0]))


def _first_bad(objective: Objective) -> tuple[int, int] | None:
    """Numbers of the backward passes between which the loss was not finite for the first time."""
    found = np.flatnonzero(~np.isfinite(objective.values))
    if not len(found):
        return None
    ends = np.cumsum(objective.weights)
    index = int(found[0])
    return int(ends[index] - objective.weights[index]), int(ends[index] - 1)


def _finding(record: Record, source: Source, row: Row) -> Finding:
    target = row.get("where") == "target"
    shape, place = row.get("shape") or [], row.get("place") or []
    bad, nan, of, rows = (int(row.get(name) or 0) for name in ("bad", "nan", "of", "rows"))
    what = "NaN" if nan == bad else "infinite" if not nan else "NaN or infinite"
    text = (
        f"{bad} of {of} values of the {'targets' if target else 'inputs'} {shape} are {what}, in {rows} of "
        f"{shape[0] if shape else 1} samples; the first is at {place}"
    )
    if int(row.get("whole") or 0):
        text += f"; {int(row.get('whole') or 0)} columns hold nothing else"
    loss = f"the loss of step {row.get('n')} is the first that is not finite, and every weight was finite when it came"
    objective = next(each for each in record.objectives if each.number == row.get("site"))
    if (_first_bad(objective) or (0, 0))[0] > int(row.get("n") or 0):
        loss = f"every weight was finite when they came at step {row.get('n')}; from the next step on the loss is not"
    alone = nan == bad and (
        bad < of if len(shape) < 2 else not int(row.get("whole") or 0) and bad < rows * int(shape[-1])
    )
    site = _site(record, source, objective, target, alone)
    layer = None if target else layer_name(record, row.get("param"))
    evidence = (
        Evidence(text, "bad_values", float(bad), 0.0),
        Evidence(loss, "objective", float(row.get("n") or 0)),
    )
    step = row.get("step") or 0
    return Finding(site, evidence, 0.97, layer=layer, steps=(step, step), subject=target)


def _site(record: Record, source: Source, objective: Objective, target: bool, alone: bool) -> Site | None:
    """Where a division, a logarithm or a root made it; else where the data become tensors; else the loss.

    `alone`: single NaNs among sound values, as empty cells leave them: where a table is read, if one is.
    """
    from ...record import Progress

    line = loss_site(record, Progress(record, objective)) or objective.site
    if line is None:
        return None
    trail = trails(source, line.file, line.line)[1 if target else 0]
    born = next((point for point in trail if _gives_birth(point)), None)
    read = next((point for point in trail if alone and _called(point) in READERS), None)
    made = read or born or origin(trail)
    return site_of(made) if made is not None else line


def _gives_birth(point: Point) -> bool:
    for node in ast.walk(point.node):
        if isinstance(node, ast.Call) and point.module.dotted(node.func).rpartition(".")[2] in BIRTHS:
            return True
        # Dividing by a constant is sound; a floor under the divisor makes it so.
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _may_vanish(node.right):
            return True
    return False


def _called(point: Point) -> str:
    return point.module.dotted(point.node.func) if isinstance(point.node, ast.Call) else ""


def _may_vanish(divisor: ast.expr) -> bool:
    if isinstance(divisor, ast.Constant):
        return False
    text = ast.dump(divisor)
    floored = any(name in text for name in ("clamp", "clip", "maximum", "Add()", "len"))
    return not floored and isinstance(divisor, (ast.Call, ast.Name, ast.Attribute, ast.Subscript))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A floor under the divisor, or the gaps filled."""
    title = "repair or drop these samples where they are read; fill gaps with the mean of the training split"
    module = source.module(finding.site.file) if finding.site else None
    if module is None or finding.site is None:
        return [Remedy(title, "advice")]
    statement = module.statement_at(finding.site.line)
    for node in ast.walk(statement) if statement is not None else ():
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _may_vanish(node.right):
            edit = module.replace(node.right, f"({module.segment(node.right)} + 1e-8)")
            return [Remedy("keep the divisor from zero", "changes-training", (edit,)), Remedy(title, "advice")]
    for node in ast.walk(statement) if statement is not None else ():
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if module.dotted(node.func).rpartition(".")[2] in CONVERSIONS[:5] and "torch" in module.names.values():
            name = next(name for name, path in module.names.items() if path == "torch")
            text = f"{name}.nan_to_num({module.segment(node)}, nan=0.0, posinf=0.0, neginf=0.0)"
            return [
                Remedy(title, "advice"),
                Remedy(
                    "put zeros (the mean of standardised columns) in their place",
                    "changes-training",
                    (module.replace(node, text),),
                ),
            ]
    return [Remedy(title, "advice")]


CONDITION = Condition(
    "nonfinite-data",
    "error",
    needs=("bad_values", "objective"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
    explains=(
        *("nonfinite-loss", "exploding-gradients", "lr-too-high", "unscaled-features", "unscaled-target"),
        *("saturated-activations", "dead-relu", "vanishing-gradients", "uninformative-labels", "lr-too-low"),
    ),
)
