"""A cast destroys the inputs or the targets.

## What happens
`.long()` cuts the fraction: probabilities, standardised columns and pixels in [0, 1] become 0, save for the few that
are 1 or beyond. An 8-bit integer holds 0 to 255 and wraps around without a word: 256 becomes 0, -1 becomes 255, so that
the brightest pixels turn black. float16 ends at 65504, and what is larger becomes infinite. Nothing raises, shapes and
types are what the next line wants, and the data behind it are gone: labels are all class 0, inputs are all zero.

## How it is told apart
Decided by both halves: the cast stands on the way of the inputs or of the targets to the loss, and what arrives there
is what such a cast leaves: one value, whole numbers of a range of two or three, an infinity, or a run that fails on
integers computed in 8 bits.
- `constant-target` and `constant-feature`: the same picture without a cast that explains it.
- `nonfinite-data`: NaN, or an infinity that no cast made. `wrong-loss-for-task`: the values arrive whole.
- `dtype-mismatch`: torch refuses the type and raises.
Not this: class ids read as text or as floats and cast to integers, indices for an embedding, binning after a
multiplication on purpose, quantisation that the run learns with.

## Remedy
Keep fractions in floating point to the end, and convert only what is whole already.

    y = torch.as_tensor(y, dtype=torch.float32)      # not .long() for a fraction
    y = (p >= 0.5).long()                            # where a class is meant
    image = image.astype(np.float32) * 16 / 255      # float first, arithmetic then

## Sources
- PyTorch, Tensor attributes: torch.dtype, https://docs.pytorch.org/docs/stable/tensor_attributes.html
- NumPy, Data types: overflow errors, https://numpy.org/doc/stable/user/basics.types.html
  [fixed size of integers; values wrap around without an error]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Progress, Record
from ...record.inputs import doors
from ...source import Edit, Module, Source
from ...source.flow import Point
from ...source.loss import trails
from ...source.numbers import literal_value
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, judged, loss_site, site_at, standing

INTEGER_METHODS = ("long", "int", "short", "byte", "char")
INTEGERS = ("int", "long", "int64", "int32", "int16", "int8", "uint8", "short", "LongTensor", "IntTensor", "ByteTensor")
BYTES = ("byte", "uint8", "int8", "char", "ByteTensor")
REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
FRACTIONS = {
    "normal",
    "randn",
    "standard_normal",
    "uniform",
    "rand",
    "log",
    "log1p",
    "exp",
    "sqrt",
    "std",
    "tanh",
    "sin",
}
# Who rounds, compares, counts or picks wants whole numbers.
WHOLE = {
    *("round", "rint", "floor", "ceil", "digitize", "bucketize", "cut", "qcut", "clip", "clamp", "where", "argmax"),
    *("argsort", "randint", "integers", "choice", "poisson", "binomial", "sign", "bernoulli", "unique"),
}
DELIBERATE = ("clip", "clamp", "minimum", "RandomState", "randint", "'round'", "'round_'", "'rint'")
BOUNDS = ("clip", "clamp")
WRAPS = 256  # the first whole number that eight bits do not hold
MASK = 1.0  # range of what is 0 or 1
SPARSE = 0.25  # ones among inputs from 0 to 1 that were cut: only what was 1 stays; half and more are a mask on purpose
HALVES = ("half", "float16", "HalfTensor")


def in_run(
    record: Record,
    source: Source,
    *,
    max_range: float = 3.0,  # of whole numbers: what standardised or unit-scaled values leave when they are cut
    bad_skill: float = 0.7,  # a run that learns better than that has kept what matters
) -> Answer:
    """A cast stands on the way of data that arrive as what it leaves."""
    entries = [Progress(record, objective) for objective in record.objectives[:1]]
    if not entries or not record.rows("source"):
        yield NotEvaluated("no loss was backpropagated" if not entries else "the source is not known")
        return
    entry = entries[0]
    loss = loss_site(record, entry)
    if loss is None:
        return
    outputs, targets = trails(source, loss.file, loss.line)
    said = (
        _target(entry, targets)
        or _rounded(entry, targets, max_range)
        or _overflow(record, targets, "target")
        or _overflow(record, outputs, "input")
    )
    failing = bool(_failing(record, entry, bad_skill))
    said = said or _input(record, entry, outputs, max_range if failing else MASK, failing)
    said = said or _beyond(outputs) or (_wrapped(outputs) if failing else None)
    if said is None:
        return
    module, cast, text, confidence = said
    evidence = (
        Evidence(f"`{module.segment(cast)[:80]}` {text}", "loss_values"),
        Evidence(f"behind it, the {standing(entry)}", "objective", entry.last, entry.baseline),
    )
    yield Finding(site_at(module, cast), evidence, confidence, subject=(cast.lineno, cast.col_offset))


Said = tuple[Module, ast.expr, str, float]


def _failing(record: Record, entry: Progress, skill: float) -> list[Progress]:
    known = judged(record)
    return (
        [entry] if any(each.objective.number == entry.objective.number and fails(each, skill) for each in known) else []
    )


def _target(entry: Progress, trail: list[Point]) -> Said | None:
    """Targets that are one whole number, behind a cast to integers."""
    mean, std = entry.samples.column("target.mean"), entry.samples.column("target.std")
    whole = entry.samples.column("target.whole")
    if len(mean) < 6 or not (std == 0).all() or len(set(mean)) != 1 or not (whole == 1).all():
        return None
    found = _cast(trail, INTEGERS, INTEGER_METHODS)
    if found is None:
        return None
    return (*found, f"cuts the fraction: every target that arrives is {mean[0]:.6g}", 0.96)


def _rounded(entry: Progress, trail: list[Point], max_range: float) -> Said | None:
    """Targets of a regression that are a few whole numbers, behind a cast of what is computed in fractions."""
    whole = entry.samples.column("target.whole")
    low, high = entry.samples.column("target.min"), entry.samples.column("target.max")
    if entry.fn not in REGRESSION or len(whole) < 6 or not (whole == 1).all() or not np.isfinite([low, high]).all():
        return None
    found = _cast(trail, INTEGERS, INTEGER_METHODS)
    if found is None or not 0 < high.max() - low.min() <= max_range:
        return None
    module, cast = found
    if not _fractions(trail, cast):
        return None
    text = f"cuts the fraction: the targets that arrive are whole numbers from {low.min():.0f} to {high.max():.0f}"
    return module, cast, text, 0.85


def _fractions(trail: list[Point], cast: ast.expr) -> bool:
    """Whether what is cast is computed in fractions, and nobody rounds, compares or picks on the way."""
    behind = [index for index, point in enumerate(trail) if cast in ast.walk(point.node)]
    before = [node for point in trail[behind[-1] :] for node in ast.walk(point.node)]
    names = {getattr(node, "attr", getattr(node, "id", "")) for node in before}
    if names & WHOLE or any(isinstance(node, ast.Compare) for node in before):
        return False
    return bool(names & FRACTIONS) or any(isinstance(node, ast.Div) for node in before)


def _input(record: Record, entry: Progress, trail: list[Point], max_range: float, failing: bool) -> Said | None:
    """Inputs that are small whole numbers, or zero, behind a cast to integers.

    In a run that learns for all that: where fractions are computed in front of the cast, and hardly a one is left.
    """
    found = _cast(trail, INTEGERS, INTEGER_METHODS)
    rows = [row for row in record.rows("door") if row.get("training") and row.get("place") == 0]
    if found is None or not rows or any(row.get("fraction") != 0 for row in rows):
        return None
    dead = [bool((door.std == 0).all()) for door in doors(record, entry.objective.number)]
    low = min(float(row.get("min") or 0) for row in rows if not isinstance(row.get("min"), str))
    high = max(float(row.get("max") or 0) for row in rows if not isinstance(row.get("max"), str))
    # Ids for an embedding are whole by nature, and no fraction was lost.
    indices = not dead or any(row.get("indices") for row in record.rows("features"))
    if high - low > max_range or (indices and str(rows[0].get("dtype")).startswith(("int", "uint"))):
        return None
    means = [float(row["mean"]) for row in rows if isinstance(row.get("mean"), (int, float))]
    if not failing and (not means or max(means) > SPARSE or not _fractions(trail, found[1])):
        return None
    left = "one value" if dead and all(dead) else f"whole numbers from {low:.0f} to {high:.0f}"
    return (*found, f"cuts the fraction: what reaches the model is {left}", 0.9)


def _overflow(record: Record, trail: list[Point], where: str) -> Said | None:
    """Infinities behind a cast to half precision."""
    rows = [row for row in record.rows("bad", where=where) if row.get("nan") == 0 and row.get("sound")]
    found = _cast(trail, HALVES, HALVES) if rows else None
    if found is None:
        return None
    return (*found, f"holds nothing beyond 65504: {rows[0].get('bad')} values of the {where}s became infinite", 0.95)


def _beyond(trail: list[Point]) -> Said | None:
    """Values bounded by more than eight bits hold, cast to eight bits as they are."""
    for module, cast, _ in _casts(trail, BYTES, BYTES):
        at = next((index for index, point in enumerate(trail) if cast in ast.walk(point.node)), len(trail))
        for point in trail[at:]:
            if isinstance(point.node, (ast.BinOp, ast.Compare)):
                break  # scaled, perhaps, before it is cast
            called = point.module.dotted(point.node.func).rpartition(".")[2] if isinstance(point.node, ast.Call) else ""
            if called not in BOUNDS or not isinstance(point.node, ast.Call):
                continue
            tops = [literal_value(each) for each in point.node.args[:3]]
            top = max((each for each in tops if each is not None), default=0.0)
            if top > WRAPS and len(point.node.args) >= 2:
                bound = point.module.segment(point.node)[:60]
                text = f"holds 0 to 255, and `{bound}` goes up to {top:.0f}: it wraps around"
                return module, cast, text, 0.85
    return None


def _wrapped(trail: list[Point]) -> Said | None:
    """Arithmetic cast to eight bits, which wraps around."""
    for module, cast, operand in _casts(trail, BYTES, BYTES):
        text = ast.dump(operand) if operand is not None else ""
        computed = operand is not None and any(
            isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Add, ast.Sub, ast.LShift))
            for node in ast.walk(operand)
        )
        # Who rounds, or bounds, before the cast has thought of what eight bits hold.
        if computed and not any(name in text for name in DELIBERATE):
            return module, cast, "is computed in eight bits: what is below 0 or above 255 wraps around", 0.8
    return None


def _cast(trail: list[Point], names: tuple[str, ...], methods: tuple[str, ...]) -> tuple[Module, ast.expr] | None:
    return next(((module, cast) for module, cast, _ in _casts(trail, names, methods)), None)


def _casts(
    trail: list[Point], names: tuple[str, ...], methods: tuple[str, ...]
) -> list[tuple[Module, ast.expr, ast.expr | None]]:
    """Casts on a trail to types with these names: (file, call, what is cast)."""
    found: dict[int, tuple[Module, ast.expr, ast.expr | None]] = {}
    for point in trail:
        for node in ast.walk(point.node):
            if not isinstance(node, ast.Call):
                continue
            called = point.module.dotted(node.func)
            last = called.rpartition(".")[2]
            method = isinstance(node.func, ast.Attribute) and called.startswith("?")
            operand = node.func.value if method and isinstance(node.func, ast.Attribute) else None
            types = [*node.args, *[each.value for each in node.keywords if each.arg == "dtype"]]
            if (method and last in methods and not node.args) or (
                method and last in ("astype", "to", "type") and any(_names(each) in names for each in types)
            ):
                found.setdefault(id(node), (point.module, node, operand))
            elif (
                any(each.arg == "dtype" and _names(each.value) in names for each in node.keywords) or last in names[8:]
            ):
                makes = last in ("tensor", "as_tensor", "array", "asarray") or last.endswith("Tensor")
                if makes:
                    found.setdefault(id(node), (point.module, node, node.args[0] if node.args else None))
    return list(found.values())


def _names(node: ast.expr) -> str:
    """`np.uint8`, `torch.long`, `int`, "int64" -> the last name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    return str(node.value).rpartition(".")[2] if isinstance(node, ast.Constant) else ""


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A float in place of the integer."""
    title = "keep the fractions: cast to float32 there, and to integers only what is whole"
    module = source.module(finding.site.file) if finding.site else None
    for node in ast.walk(module.tree) if module is not None else ():
        if isinstance(node, ast.Call) and (node.lineno, node.col_offset) == finding.subject and module is not None:
            edit = _whole(module, node)
            if edit is not None:
                again = [e for twin in _twins(module, node) if (e := _whole(module, twin)) is not None]
                return [Remedy(title, "changes-training", (edit, *again))]
    return [Remedy(title, "advice")]


def _twins(module: Module, cast: ast.Call) -> list[ast.Call]:
    """The same cast of the same preparation: of `scale(x_test)` where `scale(x_train)` is cast."""

    def shape(call: ast.Call) -> str:
        inner = call.func.value if isinstance(call.func, ast.Attribute) and not call.args else (call.args or [call])[0]
        text = module.segment(inner.func) if isinstance(inner, ast.Call) else ""
        rest = [module.segment(each) for each in [*call.args[1:], *call.keywords]]
        method = call.func.attr if isinstance(call.func, ast.Attribute) else module.segment(call.func)
        return f"{text} {method} {rest}" if text else ""

    calls = [n for n in ast.walk(module.tree) if isinstance(n, ast.Call) and n is not cast]
    return [call for call in calls if shape(cast) and shape(call) == shape(cast)]


def _whole(module: Module, node: ast.Call) -> Edit | None:
    """The cast to an integer as one to a float."""
    if isinstance(node.func, ast.Attribute) and not node.args and node.func.attr in (*INTEGER_METHODS, "half"):
        outer = module.parents.get(node)
        floats = isinstance(outer, ast.Attribute) and outer.attr == "float"  # `.long().float()`
        return module.replace(node, module.segment(node.func.value) + ("" if floats else ".float()"))
    for kind in [*node.args, *[each.value for each in node.keywords if each.arg == "dtype"]]:
        if _names(kind) in (*INTEGERS, "float16") and isinstance(kind, ast.Attribute):
            return module.replace(kind, f"{module.segment(kind.value)}.float32")
        if _names(kind) == "int" and isinstance(kind, ast.Name):
            return module.replace(kind, "float")
    return None


CONDITION = Condition(
    "lossy-cast",
    "error",
    needs=("loss_values", "features", "model_inputs", "bad_values", "objective"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
    explains=(
        *("constant-target", "constant-feature", "nonfinite-data", "nonfinite-loss", "uninformative-labels"),
        *("wrong-loss-for-task", "unscaled-features", "lr-too-low", "lr-too-high", "class-imbalance"),
        "data-leakage",  # rows that differed before they were cut are equal after
    ),
)
