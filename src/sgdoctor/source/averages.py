"""Copies of a model whose weights follow it by a loop over parameters(), which leaves the buffers behind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .module import Function, Module, Source
from .numbers import calls_of, handed

CHANGES = ("copy_", "lerp_", "mul_", "add_", "sub_")
# What brings the running statistics along, in one way or another
CARRIERS = ("buffers", "named_buffers", "running_mean", "running_var", "update_bn", "reset_running_stats")


class Average(NamedTuple):
    """The loop that lets a copy follow, and the two sides as written there: `avg` and `model`."""

    module: Module
    loop: ast.For
    copy: ast.expr
    model: ast.expr


def parameters_only(source: Source) -> Iterator[Average]:
    """Copies by deepcopy() that are used in eval mode and follow their model by its parameters alone."""
    for module in source:
        if any(isinstance(n, (ast.Attribute, ast.Name)) and _last(n) in CARRIERS for n in ast.walk(module.tree)):
            return
    for module in source:
        for loop in module.of_kind(ast.For):
            sides = _sides(module, loop)
            if sides is None:
                continue
            names = set(_names(source, module, loop, sides[0]))
            made = [call for name in names for call in _copies(source, name)]
            loaded = any(_last(c.func.value) in names for m in source for c in m.calls("?.load_state_dict")
                         if isinstance(c.func, ast.Attribute))  # fmt: skip
            if made and not loaded and any(_evaluated(source, name) for name in names):
                yield Average(module, loop, *sides)


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _sides(module: Module, loop: ast.For) -> tuple[ast.expr, ast.expr] | None:
    """(copy, model) of `for a, p in zip(copy.parameters(), model.parameters()): a.lerp_(p, decay)`."""
    zipped, pair = loop.iter, loop.target
    if not isinstance(zipped, ast.Call) or module.dotted(zipped.func) != "zip" or len(zipped.args) != 2:
        return None
    if not isinstance(pair, ast.Tuple) or not all(isinstance(each, ast.Name) for each in pair.elts):
        return None
    owners = [
        call.func.value
        for call in zipped.args
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "parameters"
    ]
    if len(owners) != 2 or len(pair.elts) != 2:
        return None
    changed = {name for statement in loop.body for name in _changed(statement)}
    for index, each in enumerate(pair.elts):
        other = pair.elts[1 - index]
        if _last(each) in changed and _last(other) not in changed:
            return owners[index], owners[1 - index]
    return None


def _changed(statement: ast.stmt) -> Iterator[str]:
    """Names whose tensors a statement changes in place."""
    for node in ast.walk(statement):
        target: ast.AST | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            target = node.func.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            target = node.targets[0]
        elif isinstance(node, ast.AugAssign):
            target = node.target
        while isinstance(target, ast.Attribute) and target.attr == "data":
            target = target.value
        if isinstance(target, ast.Name):
            yield target.id


def _names(source: Source, module: Module, loop: ast.For, copy: ast.expr) -> Iterator[str]:
    """What the copy is called: in the loop, and where a function is given it."""
    yield _last(copy)
    function = module.enclosing(loop, ast.FunctionDef)
    if isinstance(copy, ast.Name) and isinstance(function, ast.FunctionDef):
        yield from (_last(value) for _, value in handed(source, module, function, copy.id))


def _copies(source: Source, name: str) -> Iterator[ast.Call]:
    """`name = copy.deepcopy(model)`, with what is called on it there: `.eval()`, `.to(device)`."""
    for module in source:
        for node in module.of_kind(ast.Assign):
            if name and name in [_last(target) for target in node.targets]:
                inner = _chain(node.value)[-1]
                if isinstance(inner, ast.Call) and module.dotted(inner.func).rpartition(".")[2] == "deepcopy":
                    yield inner


def _chain(node: ast.expr) -> list[ast.expr]:
    """`f(x).a().b()` from the outside in."""
    found = [node]
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
        node = node.func.value
        found.append(node)
    return found


def _evaluated(source: Source, name: str) -> bool:
    """Whether it is put into eval mode, by name or as the argument of a function that does so, and never into train."""
    modes = {
        call.func.attr
        for module in source
        for call in module.calls("?.eval", "?.train")
        if isinstance(call.func, ast.Attribute) and _last(call.func.value) == name
    }
    chained = any(
        isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "eval"
        for module in source
        for node in module.of_kind(ast.Assign)
        if name in [_last(target) for target in node.targets]
        for call in _chain(node.value)
    )
    if "train" in modes:
        return False
    return chained or "eval" in modes or any(_switched(source, name))


def _switched(source: Source, name: str) -> Iterator[bool]:
    for module in source:
        for call in module.calls("?.eval"):
            given = call.func.value if isinstance(call.func, ast.Attribute) else None
            function = module.enclosing(call, ast.FunctionDef)
            if isinstance(given, ast.Name) and isinstance(function, ast.FunctionDef):
                yield name in _passed(source, module, function, given.id)


def _passed(source: Source, module: Module, function: Function, parameter: str) -> set[str]:
    if not isinstance(function, ast.FunctionDef) or not any(True for _ in calls_of(source, module, function)):
        return set()
    return {_last(value) for _, value in handed(source, module, function, parameter)}
