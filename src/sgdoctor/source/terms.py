"""The sum that a script backpropagates, as the expressions it is written with."""

from __future__ import annotations

import ast
from typing import NamedTuple

from .module import Module, Source

MAX_TERMS = 40
WRAPPERS = ("scale", "mean", "sum", "squeeze", "to", "float")


class Addend(NamedTuple):
    """One term: where it stands, its sign, and the expression that turned the sign (or made the term) last."""

    module: Module
    node: ast.expr
    sign: int
    turned: ast.expr | None


def backwarded(source: Source, file: str, line: int) -> tuple[Module, ast.expr] | None:
    """The expression whose `.backward()` stands at a line; of `backward(loss)` its argument."""
    module = source.module(file)
    if module is None:
        return None
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("backward", "grad"):
            return (module, node.args[0]) if node.args and node.func.attr == "grad" else (module, node.func.value)
    return None


def addends(source: Source, module: Module, node: ast.expr) -> list[Addend]:
    """The terms that an expression is the sum of, through names, `+=` and the script's own functions."""
    found: list[Addend] = []
    _split(source, module, node, 1, None, found, set())
    return found


def _split(
    source: Source,
    module: Module,
    node: ast.expr,
    sign: int,
    turned: ast.expr | None,
    found: list[Addend],
    seen: set[int],
) -> None:
    if id(node) in seen or len(found) >= MAX_TERMS:
        return
    seen.add(id(node))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        minus = isinstance(node.op, ast.Sub)
        _split(source, module, node.left, sign, turned, found, seen)
        _split(source, module, node.right, -sign if minus else sign, node if minus else turned, found, seen)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        minus = isinstance(node.op, ast.USub)
        _split(source, module, node.operand, -sign if minus else sign, node if minus else turned, found, seen)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        sides = [node.left, node.right] if isinstance(node.op, ast.Mult) else [node.left]
        plain = [side for side in sides if number_of(side) is None]
        constant = [amount for side in sides if (amount := number_of(side)) is not None]
        if len(plain) == 1:
            minus = bool(constant) and constant[0] < 0
            _split(source, module, plain[0], -sign if minus else sign, node if minus else turned, found, seen)
        else:
            found.append(Addend(module, node, sign, turned))
    elif isinstance(node, ast.Name):
        values = definitions(module, node)
        if not values:
            found.append(Addend(module, node, sign, turned))
        for value, minus in values:
            _split(source, module, value, -sign if minus else sign, value if minus else turned, found, seen)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRAPPERS:
        inner = node.args[0] if node.func.attr == "scale" and node.args else node.func.value
        _split(source, module, inner, sign, turned, found, seen)
    elif isinstance(node, ast.Call) and (own := _own(source, module, node)) is not None:
        for value in own[1]:
            _split(source, own[0], value, sign, turned, found, seen)
    else:
        found.append(Addend(module, node, sign, turned))


def number_of(node: ast.expr) -> float | None:
    """The value of a literal number, its minus included."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number_of(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    return None


def definitions(module: Module, use: ast.Name) -> list[tuple[ast.expr, bool]]:
    """(value, whether it is subtracted) of a name's last assignment before its use, and of what was added since."""
    scope = module.enclosing(use, ast.FunctionDef, ast.AsyncFunctionDef) or module.tree
    plain: list[ast.Assign] = []
    added: list[ast.AugAssign] = []
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == use.id for t in node.targets):
            if node.lineno <= use.lineno and not any(child is use for child in ast.walk(node.value)):
                plain.append(node)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == use.id:
            added.append(node)
    if not plain:
        return []
    last = max(plain, key=lambda node: node.lineno)
    values = [(last.value, False)]
    added = [node for node in added if isinstance(node.op, (ast.Add, ast.Sub))]
    return values + [(n.value, isinstance(n.op, ast.Sub)) for n in added if last.lineno < n.lineno <= use.lineno]


def _own(source: Source, module: Module, call: ast.Call) -> tuple[Module, list[ast.expr]] | None:
    """What a function of the script returns."""
    name = module.dotted(call.func).rpartition(".")[2]
    for other in source:
        for node in ast.walk(other.tree):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                values = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
                single = [value for value in values if not isinstance(value, ast.Tuple)]
                return (other, single) if single else None
    return None
