"""Types of numbers mended by edits: a cast where tensors are made, at a model's calls, or at a loss's target."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from .criterion import constructor, losses_at, stripped
from .edits import Edit
from .flow import Point, Trail
from .inputs import FollowAll
from .loss import argument
from .module import Module, Source
from .output import OutputTrail
from .spelling import bracketed, parts, spelled

MAKERS = ("tensor", "from_numpy", "as_tensor", "Tensor", "DoubleTensor", "LongTensor", "IntTensor")
VALUES = re.compile(r"(mse_loss|l1_loss|huber_loss|binary_cross_entropy\w*|MSELoss|L1Loss|HuberLoss|BCE\w*Loss)$")
CASTS = ("float", "double", "long", "int", "half", "short")


def cast_inputs(source: Source, file: str, lines: Iterable[int], cast: str) -> tuple[Edit, ...]:
    """What a model is given, cast where it becomes a tensor; at the model's calls where that is not to be seen.

    `lines`: where the model is called or the exception passed, the innermost last. `cast`: "float", "long".
    """
    module = source.module(file)
    if module is None:
        return ()
    trail = OutputTrail(source)
    for line in lines:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or not node.lineno <= line <= (node.end_lineno or line) or not node.args:
                continue
            made = trail.made_by(module, node.func)
            if made is None:
                continue
            calls = _calls_of(source, trail, made)
            makers = [_makers(source, call) for call in calls]
            targets = _regressed(source) if cast == "float" else ()
            if all(makers):
                found = {id(point.node): point for each in makers for point in each}
                return (*(edit for point in found.values() for edit in _cast_maker(point, cast)), *targets)
            return (*(edit for call in calls for edit in _cast_argument(call, cast)), *targets)
    return ()


def _regressed(source: Source) -> tuple[Edit, ...]:
    """Targets that come from the same arrays of doubles: a loss of values takes the type of its outputs."""
    edits: list[Edit] = []
    for module in source:
        for node in ast.walk(module.tree):
            found = constructor(source, module, node) if isinstance(node, ast.Call) else None
            if found is None or not isinstance(node, ast.Call) or found[1] is node:
                continue
            named = found[1].func if isinstance(found[1], ast.Call) else found[1]
            target = argument(node, 1, "target")
            if target is None or not VALUES.search(found[0].dotted(named)):
                continue
            texts = [point.module.segment(point.node) for point in Trail(source).of(module, target)]
            if not any(
                word in text for text in texts for word in ("float32", ".float()", "FloatTensor", "torch.float")
            ):
                edits += parts(module, target, "", ".float()")
    return tuple(edits)


def _calls_of(source: Source, trail: OutputTrail, made: Point) -> list[Point]:
    found = []
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and node.args:
                other = trail.made_by(module, node.func)
                if other is not None and other.node is made.node:
                    found.append(Point(module, node))
    return found


def _makers(source: Source, call: Point) -> list[Point]:
    """The calls that make the tensors which this call is given, on every way there; empty where one is not seen."""
    assert isinstance(call.node, ast.Call)
    trail = FollowAll(source)
    points = trail.of(call.module, call.node.args[0])
    return [
        point
        for point in points
        if isinstance(point.node, ast.Call)
        and point.module.dotted(point.node.func).startswith("torch.")
        and point.module.dotted(point.node.func).rpartition(".")[2] in MAKERS
    ]


def _cast_maker(point: Point, cast: str) -> tuple[Edit, ...]:
    """`torch.tensor(x, dtype=torch.float64)` -> the right dtype; `torch.from_numpy(x)` -> `.float()` behind it."""
    module, call = point
    assert isinstance(call, ast.Call)
    for word in call.keywords:
        if word.arg == "dtype":
            name = spelled(module, f"torch.{'float32' if cast == 'float' else 'int64'}")
            return (module.replace(word.value, name),) if name else ()
    outer = module.parents.get(call)
    if isinstance(outer, ast.Attribute) and outer.attr in CASTS:
        return (module.replace(outer, f"{module.segment(call)}.{cast}"),)
    return parts(module, call, "", f".{cast}()")


def _cast_argument(call: Point, cast: str) -> tuple[Edit, ...]:
    assert isinstance(call.node, ast.Call)
    return parts(call.module, call.node.args[0], "", f".{cast}()")


def cast_targets(source: Source, places: Iterable[tuple[str, int]], cast: str) -> tuple[Edit, ...]:
    """The targets of the losses at these lines cast: "float" or "long"; another cast there is replaced."""
    edits: list[Edit] = []
    for module, call in losses_at(source, places):
        target = argument(call, 1, "target")
        if target is None:
            continue
        inner = stripped(module, target, CASTS)
        edits.append(module.replace(target, f"{bracketed(module, inner)}.{cast}()"))
    return tuple(edits)


def cast_array(source: Source, file: str, line: int) -> tuple[Edit, ...]:
    """The argument of `torch.from_numpy` or `torch.tensor` at a line cast to float32, an array of objects."""
    module = source.module(file)
    for node in ast.walk(module.tree) if module is not None else ():
        if module is None or not isinstance(node, ast.Call) or not node.lineno <= line <= (node.end_lineno or line):
            continue
        if module.dotted(node.func).rpartition(".")[2] in MAKERS and node.args:
            return parts(module, node.args[0], "", '.astype("float32")')
    return ()


def shifted(source: Source, file: str, line: int, by: int) -> tuple[Edit, ...]:
    """Class ids shifted where they become tensors, in every split; else empty."""
    losses = losses_at(source, [(file, line)])
    target = argument(losses[0][1], 1, "target") if losses else None
    if target is None:
        return ()
    trail = FollowAll(source)
    module = losses[0][0]
    makers = [point for point in trail.of(module, target) if _makes(point)]
    if not makers:
        return ()
    origin = trail.points[-1].node
    alike = {id(makers[0].node): makers[0]}
    for other in source:
        for node in ast.walk(other.tree):
            if isinstance(node, ast.Call) and _makes(Point(other, node)) and node.args:
                points = Trail(source).of(other, node)
                if points[-1].node is origin:
                    alike.setdefault(id(node), Point(other, node))
    return tuple(edit for point in alike.values() for edit in _shift(point, by))


def _makes(point: Point) -> bool:
    if not isinstance(point.node, ast.Call):
        return False
    dotted = point.module.dotted(point.node.func)
    return dotted.startswith("torch.") and dotted.rpartition(".")[2] in MAKERS


def _shift(point: Point, by: int) -> tuple[Edit, ...]:
    module, node = point
    outer = module.parents.get(node)
    while isinstance(outer, ast.Attribute) and isinstance(module.parents.get(outer), ast.Call):
        node = module.parents[outer]  # type: ignore[assignment]
        outer = module.parents.get(node)
    text = f" {'-' if by < 0 else '+'} {abs(by)}"
    tight = isinstance(outer, (ast.Attribute, ast.BinOp, ast.Subscript, ast.Starred))
    return parts(module, node, "(" if tight else "", text + (")" if tight else ""))


def ignored(source: Source, file: str, line: int, value: int) -> tuple[Edit, ...]:
    """`ignore_index=` given to the losses at a line."""
    edits: list[Edit] = []
    seen: set[int] = set()
    for module, call in losses_at(source, [(file, line)]):
        where, node = _holder(source, module, call)
        if id(node) in seen or any(word.arg == "ignore_index" for word in node.keywords):
            continue
        seen.add(id(node))
        _, _, end_line, end_column = where.span(node)
        head = ", " if node.args or node.keywords else ""
        edits.append(
            Edit(where.file, end_line, end_column - 1, end_line, end_column - 1, f"{head}ignore_index={value}")
        )
    return tuple(edits)


def _holder(source: Source, module: Module, call: ast.Call) -> tuple[Module, ast.Call]:
    """The call that takes the loss's options: the class's, else the function's."""
    for point in Trail(source).of(module, call.func):
        if isinstance(point.node, ast.Call):
            return point.module, point.node
    return module, call
