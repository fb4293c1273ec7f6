"""Where a number comes from: the literals behind a name, an argument, an option, a field or an entry of a dict."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Iterator
from typing import NamedTuple

from .module import Module, Source

MAX_DEPTH = 8  # hand-overs from the use of a number to its literal; more is a loop of names
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)
ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class Literal(NamedTuple):
    """An expression that is a number as it stands: `1e-3`, `-6.0`, `10 ** -4`, `0.1 / 3`."""

    module: Module
    node: ast.expr
    value: float


def literal_value(node: ast.AST | None) -> float | None:
    """The number that an expression of literals stands for, None where it is no such expression."""
    if isinstance(node, ast.Constant):
        known = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        return float(node.value) if known and abs(node.value) < 1e300 else None  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = literal_value(node.operand)
        return None if inner is None else -inner if isinstance(node.op, ast.USub) else inner
    if not isinstance(node, ast.BinOp):
        return None
    left, right = literal_value(node.left), literal_value(node.right)
    if left is None or right is None:
        return None
    try:
        if isinstance(node.op, ast.Pow):
            return math.pow(left, right)
        found = ARITHMETIC.get(type(node.op))
        return None if found is None else float(found(left, right))
    except (ArithmeticError, ValueError):
        return None


def literals(source: Source, module: Module, node: ast.expr) -> list[Literal]:
    """The literals that an expression may get its value from, the nearest first."""
    return list(_behind(source, module, node, (), frozenset()))


def is_near(value: float, wanted: float) -> bool:
    """Equal, for numbers that a record may have rounded to five digits."""
    return math.isclose(value, wanted, rel_tol=1e-4, abs_tol=1e-30)


def _behind(
    source: Source, module: Module, node: ast.expr, keys: tuple[str, ...], seen: frozenset[int]
) -> Iterator[Literal]:
    """`keys`: entries still to be taken from what the node is: ("optim", "lr") of `CFG` for `CFG["optim"]["lr"]`."""
    if id(node) in seen or len(seen) > MAX_DEPTH:
        return
    seen = seen | {id(node)}
    value = literal_value(node)
    if value is not None:
        if not keys:
            yield Literal(module, node, value)
        return
    for at, part, rest in _parts(source, module, node, keys):
        yield from _behind(source, at, part, rest, seen)


def _parts(
    source: Source, module: Module, node: ast.expr, keys: tuple[str, ...]
) -> Iterator[tuple[Module, ast.expr, tuple[str, ...]]]:
    """What the value of one expression is, one hand-over further back."""
    if isinstance(node, ast.Name):
        yield from ((at, value, keys) for at, value in definitions(source, module, node))
    elif isinstance(node, ast.Attribute):
        yield from ((at, value, keys) for at, value in _fields(source, node.attr))
        if not isinstance(node.value, ast.Name) or node.value.id not in ("self", "cls"):
            yield module, node.value, (node.attr, *keys)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        yield module, node.value, (str(node.slice.value), *keys)
    elif isinstance(node, ast.Dict) and keys:
        for key, entry in zip(node.keys, node.values):
            if isinstance(key, ast.Constant) and key.value == keys[0]:
                yield module, entry, keys[1:]
    elif isinstance(node, ast.IfExp):
        yield from ((module, part, keys) for part in (node.body, node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from ((module, part, keys) for part in node.values)
    elif isinstance(node, (ast.Tuple, ast.List)) and keys and keys[0].isdigit() and int(keys[0]) < len(node.elts):
        yield module, node.elts[int(keys[0])], keys[1:]
    elif isinstance(node, ast.Call):
        yield from ((module, part, rest) for part, rest in _parts_of_call(module, node, keys))


def _parts_of_call(module: Module, node: ast.Call, keys: tuple[str, ...]) -> Iterator[tuple[ast.expr, tuple[str, ...]]]:
    name = module.dotted(node.func).rpartition(".")[2]
    if name in ("float", "int", "field", "Field"):
        yield from ((part, keys) for part in node.args[:1])
        yield from ((each.value, keys) for each in node.keywords if each.arg == "default")
    elif name == "get" and isinstance(node.func, ast.Attribute) and node.args:
        if isinstance(node.args[0], ast.Constant):
            yield node.func.value, (str(node.args[0].value), *keys)
        yield from ((part, keys) for part in node.args[1:2])
    elif keys:
        yield from ((each.value, keys[1:]) for each in node.keywords if each.arg == keys[0])
        yield from ((part, keys) for part in node.args if isinstance(part, (ast.Dict, ast.Name, ast.Call)))
        yield from ((each.value, keys) for each in node.keywords if each.arg is None)


def definitions(source: Source, module: Module, use: ast.Name) -> Iterator[tuple[Module, ast.expr]]:
    """The values that a name may have where it is used: assigned in its scope, handed over by a caller, imported."""
    scope = module.enclosing(use, *SCOPES)
    while scope is not None:
        if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = list(handed(source, module, scope, use.id))
            assigned = list(_assigned(module, scope, use.id))
            if given or assigned:
                yield from ((module, value) for value in assigned)
                yield from given
                return
        elif isinstance(scope, ast.Module):
            yield from ((module, value) for value in _assigned(module, scope, use.id))
        scope = module.enclosing(scope, *SCOPES)
    imported = module.names.get(use.id, "")
    for other in source if "." in imported else ():
        stem = other.file.removesuffix(".py").replace("/", ".")
        if stem.endswith(imported.rpartition(".")[0]):
            yield from ((other, value) for value in _assigned(other, other.tree, imported.rpartition(".")[2]))


def _assigned(module: Module, scope: ast.AST, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(scope):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            if module.enclosing(node, *SCOPES, ast.ClassDef) is not scope:
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for part, value in zip(target.elts, node.value.elts):
                        if isinstance(part, ast.Name) and part.id == name:
                            yield value


def handed(
    source: Source, module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[tuple[Module, ast.expr]]:
    """What callers pass for a parameter of a function, and its default."""
    positional = [each.arg for each in [*function.args.posonlyargs, *function.args.args]]
    if name not in positional and name not in [each.arg for each in function.args.kwonlyargs]:
        return
    for at, call in calls_of(source, module, function):
        offset = 1 if positional[:1] in (["self"], ["cls"]) else 0
        yield from ((at, each.value) for each in call.keywords if each.arg == name)
        index = positional.index(name) - offset if name in positional else len(call.args)
        if 0 <= index < len(call.args) and not any(isinstance(part, ast.Starred) for part in call.args):
            yield at, call.args[index]
    defaults = dict(zip(reversed(positional), reversed(function.args.defaults)))
    keyword = {each.arg: value for each, value in zip(function.args.kwonlyargs, function.args.kw_defaults)}
    default = defaults.get(name) or keyword.get(name)
    if default is not None:
        yield module, default


def calls_of(
    source: Source, module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[tuple[Module, ast.Call]]:
    """Calls of a function of the script by its name; of `__init__` by that of its class."""
    owner = module.enclosing(function, ast.ClassDef)
    name = owner.name if isinstance(owner, ast.ClassDef) and function.name == "__init__" else function.name
    for other in source:
        for node in ast.walk(other.tree):
            if isinstance(node, ast.Call) and other.dotted(node.func).rpartition(".")[2] == name:
                yield other, node


def _fields(source: Source, name: str) -> Iterator[tuple[Module, ast.expr]]:
    """What an attribute of this name may hold: an option's default, a field of a class, an assignment, a keyword."""
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                yield from ((module, value) for value in _option(node, name))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                inside = isinstance(module.parents.get(node), ast.ClassDef)
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    for part, value in _pairs(target, node.value):
                        field = isinstance(part, ast.Name) and part.id == name and inside
                        if field or (isinstance(part, ast.Attribute) and part.attr == name):
                            yield module, value
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and not module.dotted(node.func).startswith("torch."):
                yield from ((module, each.value) for each in node.keywords if each.arg == name)


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What is assigned to what: each part of `a, b = 1, 2`."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts))
    return [(target, value)]


def _option(call: ast.Call, name: str) -> Iterator[ast.expr]:
    """The default of the command-line option that is stored under a name."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "add_argument":
        return
    flags = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    keywords = {each.arg: each.value for each in call.keywords}
    stored = keywords.get("dest")
    long = [flag for flag in flags if flag.startswith("--")] or flags
    default = long[0].lstrip("-").replace("-", "_") if long else ""
    if (stored.value if isinstance(stored, ast.Constant) else default) == name and "default" in keywords:
        yield keywords["default"]
