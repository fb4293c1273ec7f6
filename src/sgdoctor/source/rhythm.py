"""Which statements of a loop run at every pass, and which only at some: the modulo tests of gradient accumulation."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .module import Function, Module, Source

MAX_CALLERS = 20


def period(source: Source, file: str, line: int) -> tuple[Module, ast.If] | None:
    """The test that lets the statement at a line run only every so many passes of its loop; None where none does.

    Looks one call further up where the statement stands in a function without a loop around it.
    """
    module = source.module(file)
    statement = module.statement_at(line) if module is not None else None
    if module is None or statement is None:
        return None
    found, looped = _period(module, statement)
    if found is not None:
        return module, found
    function = module.function_at(line)
    if looped or function is None:
        return None
    for caller, call in calls_of(source, function):
        found, _ = _period(caller, call)
        if found is not None:
            return caller, found
    return None


def calls_of(source: Source, function: Function) -> Iterator[tuple[Module, ast.Call]]:
    """Where a function of the script is called, by its name."""
    count = 0
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and module.dotted(node.func).rpartition(".")[2] == function.name:
                count += 1
                if count <= MAX_CALLERS:
                    yield module, node


def _period(module: Module, node: ast.AST) -> tuple[ast.If | None, bool]:
    """(the periodic test between a node and its innermost loop, whether there is a loop)."""
    child, current = node, module.parents.get(node)
    while current is not None and not isinstance(current, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if isinstance(current, (ast.For, ast.While)):
            return None, True
        if isinstance(current, ast.If) and child in current.body and is_periodic(module, current):
            return current, True
        child, current = current, module.parents.get(current)
    return None, False


def is_periodic(module: Module, test: ast.If) -> bool:
    """Whether a test comes true every so often: a modulo in it, or a counter that its loop counts up."""
    names = {node.id for node in ast.walk(test.test) if isinstance(node, ast.Name)}
    if any(isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) for node in ast.walk(test.test)):
        return True
    loop = module.enclosing(test, ast.For, ast.While)
    for node in ast.walk(loop) if loop is not None else ():
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id in names:
            return isinstance(node.value, ast.Constant)
        if not isinstance(node, ast.Assign) or not names & {t.id for t in node.targets if isinstance(t, ast.Name)}:
            continue
        if any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod) for part in ast.walk(node.value)):
            return True
    return False


def loops_around(module: Module, line: int) -> list[ast.For | ast.While]:
    """The loops around the statement at a line within its function, innermost first."""
    found: list[ast.For | ast.While] = []
    statement = module.statement_at(line)
    current = module.parents.get(statement) if statement is not None else None
    while current is not None and not isinstance(current, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if isinstance(current, (ast.For, ast.While)):
            found.append(current)
        current = module.parents.get(current)
    return found
