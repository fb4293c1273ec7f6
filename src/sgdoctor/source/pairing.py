"""Two separate shuffles of inputs and targets made one."""

from __future__ import annotations

import ast

from .edits import Edit
from .flow import Point
from .loss import trails
from .module import Module, Source
from .spelling import free_name

DRAWS = ("permutation", "randperm", "randint", "integers", "choice", "sample", "permuted", "multinomial")


def paired(source: Source, file: str, line: int) -> tuple[Edit, ...]:
    """One order for the inputs and the targets of the loss at a line; empty where they are not shuffled apart."""
    outputs, targets = trails(source, file, line)
    first = next((each for point in outputs if (each := _cut(source, point)) is not None), None)
    second = next((each for point in targets if (each := _cut(source, point)) is not None), None)
    if first is not None and second is not None and first[0] is second[0]:
        return _one_index(first[0], first[1], second[1])
    return _one_shuffle(outputs, targets)


def _cut(source: Source, point: Point) -> tuple[Module, ast.Subscript] | None:
    """`x[rng.permutation(n)]`, `x[order]` where `order` is drawn."""
    node = point.node
    if not isinstance(node, ast.Subscript):
        return None
    index = node.slice
    if isinstance(index, ast.Name):
        value = _value_of(point.module, index)
        return (point.module, node) if value is not None and _draws(point.module, value) else None
    return (point.module, node) if _draws(point.module, index) else None


def _draws(module: Module, node: ast.expr) -> bool:
    return any(
        isinstance(part, ast.Call) and module.dotted(part.func).rpartition(".")[2] in DRAWS for part in ast.walk(node)
    )


def _value_of(module: Module, name: ast.Name) -> ast.expr | None:
    """What was last assigned to a name above its use in the same function."""
    scope = module.enclosing(name, ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)
    best: ast.Assign | None = None
    for node in ast.walk(scope or module.tree):
        if isinstance(node, ast.Assign) and node.lineno < name.lineno:
            named = any(isinstance(target, ast.Name) and target.id == name.id for target in node.targets)
            if named and (best is None or node.lineno > best.lineno):
                best = node
    return None if best is None else best.value


def _one_index(module: Module, first: ast.Subscript, second: ast.Subscript) -> tuple[Edit, ...]:
    one, other = first.slice, second.slice
    if isinstance(one, ast.Name) and isinstance(other, ast.Name):
        if one.id == other.id:
            return ()
        above, below = sorted((first, second), key=lambda each: each.lineno)
        return (module.replace(below.slice, module.segment(above.slice)),)
    if isinstance(one, ast.Name) or isinstance(other, ast.Name):
        return ()
    statements = [module.enclosing(each, ast.stmt) for each in (first, second)]
    block = [module.parents.get(each) for each in statements if each is not None]
    if len(block) != 2 or block[0] is not block[1]:
        return ()
    early = min((each for each in statements if isinstance(each, ast.stmt)), key=lambda each: each.lineno)
    name = free_name(module.tree, "order", "together")
    drawn = module.insert_before(early, f"{name} = {module.segment(one)}")
    return drawn, module.replace(one, name), module.replace(other, name)


def _one_shuffle(outputs: list[Point], targets: list[Point]) -> tuple[Edit, ...]:
    """`rng.shuffle(x)` and `rng.shuffle(y)`, in place, made one permutation of both."""
    for point in outputs:
        module = point.module
        shuffles = [
            (statement, call, call.args[0].id)
            for statement in ast.walk(module.tree)
            if isinstance(statement, ast.Expr) and isinstance(call := statement.value, ast.Call)
            if module.dotted(call.func).rpartition(".")[2] == "shuffle" and len(call.args) == 1
            if isinstance(call.args[0], ast.Name)
        ]
        inputs, answers = _names(outputs), _names(targets)
        mine = next((each for each in shuffles if each[2] in inputs - answers), None)
        other = next((each for each in shuffles if each[2] in answers - inputs), None)
        if mine is None or other is None or module.dotted(mine[1].func).startswith("random."):
            continue
        if module.parents[mine[0]] is not module.parents[other[0]] or not isinstance(mine[1].func, ast.Attribute):
            continue
        early, late = sorted((mine, other), key=lambda each: each[0].lineno)
        name = free_name(module.tree, "order", "together")
        draw = f"{module.segment(mine[1].func.value)}.permutation(len({early[2]}))"
        drawn = module.insert_before(early[0], f"{name} = {draw}")
        changes = [module.replace(each[0], f"{each[2]} = {each[2]}[{name}]") for each in (early, late)]
        return (drawn, *changes)
    return ()


def _names(points: list[Point]) -> set[str]:
    return {point.node.id for point in points if isinstance(point.node, ast.Name)}
