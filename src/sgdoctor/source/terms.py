"""The sum that a script backpropagates, as the expressions it is written with."""

from __future__ import annotations

import ast
from typing import NamedTuple

from .flow import Trail
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
        part = _unpacked(source, module, node) if not values else None
        if part is not None:
            _split(source, *part, sign, turned, found, seen)
        elif not values:
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


def _unpacked(source: Source, module: Module, use: ast.Name) -> tuple[Module, ast.expr] | None:
    """What a name is that was assigned as one of several, `loss, kl = terms(x)`, last before its use."""
    scope = module.enclosing(use, ast.FunctionDef, ast.AsyncFunctionDef) or module.tree
    found: list[tuple[ast.expr, int]] = []
    for node in ast.walk(scope):
        if not isinstance(node, ast.Assign) or node.lineno > use.lineno:
            continue
        for target in node.targets:
            parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else []
            found += [(node.value, i) for i, e in enumerate(parts) if isinstance(e, ast.Name) and e.id == use.id]
    if not found:
        return None
    value, index = max(found, key=lambda each: each[0].lineno)
    if isinstance(value, (ast.Tuple, ast.List)) and index < len(value.elts):
        return module, value.elts[index]
    for other, values in returned(source, module, value) if isinstance(value, ast.Call) else ():
        if isinstance(values, ast.Tuple) and index < len(values.elts):
            return other, values.elts[index]
    return None


def _own(source: Source, module: Module, call: ast.Call) -> tuple[Module, list[ast.expr]] | None:
    """What a function of the script returns."""
    found = [(other, value) for other, value in returned(source, module, call) if not isinstance(value, ast.Tuple)]
    return (found[0][0], [value for _, value in found]) if found else None


def returned(source: Source, module: Module, call: ast.Call) -> list[tuple[Module, ast.expr]]:
    """The values that the first function of the script with that name returns, or the forward of its own loss."""
    name = module.dotted(call.func).rpartition(".")[2]
    named = ((other, node) for other in source for node in ast.walk(other.tree) if isinstance(node, ast.FunctionDef))
    found = next((each for each in named if each[1].name == name), None) or _forward(source, module, call)
    if found is None:
        return []
    values = [n.value for n in ast.walk(found[1]) if isinstance(n, ast.Return) and n.value is not None]
    return [(found[0], value) for value in values]


def _forward(source: Source, module: Module, call: ast.Call) -> tuple[Module, ast.FunctionDef] | None:
    """Of `criterion(output, target)` the method that runs, where `criterion` is made by a class of the script."""
    for point in Trail(source).of(module, call.func):
        made = point.module.dotted(point.node.func) if isinstance(point.node, ast.Call) else ""
        for other in source:
            for node in ast.walk(other.tree):
                if made and isinstance(node, ast.ClassDef) and node.name == made.rpartition(".")[2]:
                    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
                    found = [each for each in methods if each.name in ("forward", "__call__")]
                    return (other, found[0]) if found else None
    return None
