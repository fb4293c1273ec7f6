"""Figures that are taken, behind a loop over batches, of what its last round has left in its names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .module import Module

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)
LEAVES = (ast.Break, ast.Return, ast.Yield, ast.YieldFrom)
BORN = (ast.Store, ast.Del)


def made_of(loop: ast.For) -> set[str]:
    """The names that follow from what a loop goes through, line by line."""
    bound = _names(loop.target)
    for each in ast.walk(loop):
        if isinstance(each, ast.Assign) and bound & _names(each.value):
            bound |= {name for target in each.targets for name in _names(target)}
    return bound


def leftovers(module: Module) -> Iterator[tuple[ast.For, ast.Compare]]:
    """Loops that only evaluate and hold no comparison of their own, and one behind them of two names of a round."""
    for loop in ast.walk(module.tree):
        if not isinstance(loop, ast.For) or any(isinstance(node, LEAVES) or _equals(node) for node in ast.walk(loop)):
            continue
        if next(module.calls("?.backward", "?.step", within=loop), None) is not None:
            continue
        scope, bound, end = module.enclosing(loop, *SCOPES) or module.tree, made_of(loop), loop.end_lineno or 0
        for node in ast.walk(scope):
            if not isinstance(node, ast.Compare) or not _equals(node) or node.lineno <= end:
                continue
            sides = [_names(side) & bound for side in (node.left, node.comparators[0])]
            if all(sides) and not any(_again(scope, name, end, node) for side in sides for name in side):
                yield loop, node
                break


def _equals(node: ast.AST) -> bool:
    """`==` of what are no literals: right answers, counted."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
        return False
    return not any(isinstance(side, ast.Constant) for side in (node.left, node.comparators[0]))


def _again(scope: ast.AST, name: str, end: int, until: ast.AST) -> bool:
    """Whether a name is given another value between the end of a loop and a place."""
    last = getattr(until, "lineno", 0)
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, BORN) and end < node.lineno <= last
        for node in ast.walk(scope)
    )


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
