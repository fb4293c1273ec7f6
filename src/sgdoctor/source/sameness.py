"""Where a script makes all samples the same: an item that its index has no part in, a choice that falls one way."""

from __future__ import annotations

import ast

from .flow import Point
from .numbers import literal_value


def chosen(trail: list[Point], value: float) -> Point | None:
    """The expression on a trail that picks this value for every sample: the branch, or the default, that it has.

    A lookup with a computed key, in a dataset, comes last: what it finds is not written there.
    """
    for point in trail:
        if value in _branches(point):
            return point
    for point in trail:
        node = point.node
        computed = isinstance(node, ast.Subscript) and any(isinstance(part, ast.Call) for part in ast.walk(node.slice))
        if computed and _item(point) is not None:
            return point
    return None


def _branches(point: Point) -> list[float]:
    """The numbers that a choice can give: `1.0 if .. else 0.0`, `.get(key, 0)`, `where(.., 1, 0)`, a comparison."""
    node = point.node
    parts: list[ast.expr] = []
    if isinstance(node, ast.Compare):
        return [0.0, 1.0]
    if isinstance(
        node, ast.IfExp
    ):  # where only one side is written out it is a fallback, and what it tests is at fault
        both = [node.body, node.orelse]
        parts = both if all(literal_value(part) is not None for part in both) else []
    elif isinstance(node, ast.Call):
        name = point.module.dotted(node.func).rpartition(".")[2]
        parts = node.args[1:2] if name == "get" and len(node.args) == 2 else []
        parts = node.args[1:3] if name == "where" and len(node.args) == 3 else parts
    return [number for part in parts if (number := literal_value(part)) is not None]


def without_index(trail: list[Point]) -> Point | None:
    """The expression of a dataset's `__getitem__` that the index has no part in, on the way of what it returns."""
    for point in trail:
        item = _item(point)
        if item is None or isinstance(point.node, (ast.Tuple, ast.List, ast.Name, ast.Constant)):
            continue
        if len(item.args.args) == 2 and not _reads(point.node, _dependent(item)):
            return point
    return None


def _item(point: Point) -> ast.FunctionDef | None:
    function = point.module.enclosing(point.node, ast.FunctionDef)
    return function if isinstance(function, ast.FunctionDef) and function.name == "__getitem__" else None


def _dependent(item: ast.FunctionDef) -> set[str]:
    """The index, and the names that are given something made with it."""
    names = {item.args.args[1].arg}
    for _ in range(4):
        for node in ast.walk(item):
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            elif isinstance(node, (ast.For, ast.comprehension)):
                targets = [node.target]
            else:
                continue
            value = node.iter if isinstance(node, (ast.For, ast.comprehension)) else node.value
            if value is not None and _reads(value, names):
                names |= {part.id for each in targets for part in ast.walk(each) if isinstance(part, ast.Name)}
    return names


def _reads(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))
