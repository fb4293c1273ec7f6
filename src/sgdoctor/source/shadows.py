"""Copies of a model's tensors that are none: taken without `clone()`, and kept beside the model or written to."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .module import Module

COPIES = ("clone", "deepcopy", "copy_", "zeros_like", "empty_like", "tensor", "numpy")
WRITES = ("copy_", "mul_", "add_", "sub_", "lerp_", "div_")  # in place: into the memory of the model itself
VIEWS = ("data", "detach")
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While, ast.If)


def shallow(module: Module) -> Iterator[tuple[ast.Assign, ast.expr]]:
    """Assignments of another dict with the same tensors: `{k: v.cpu() for k, v in model.state_dict().items()}`."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, (ast.DictComp, ast.Call)):
            continue
        names = {part.attr if isinstance(part, ast.Attribute) else part.id for part in _leaves(node.value)}
        outer = module.dotted(node.value.func).rpartition(".")[2] if isinstance(node.value, ast.Call) else "dict"
        if "state_dict" in names and outer in ("dict", "OrderedDict", "copy") and not names & {*COPIES}:
            yield node, node.value


def apart(module: Module, first: ast.AST, second: ast.AST) -> bool:
    """Whether two statements stand under different loops, tests or functions, so that something may lie between."""
    return _around(module, first) != _around(module, second)


def written(module: Module) -> Iterator[tuple[ast.Assign, ast.Call]]:
    """Where a model's own tensors are collected, and the line that mixes the model into them in place: an average of
    the weights that is the weights."""
    for node in ast.walk(module.tree):
        of = _collected(module, node.value) if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        if of is None or not isinstance(node, ast.Assign):
            continue
        held = ast.unparse(node.targets[0])
        for call in ast.walk(module.tree):
            if isinstance(call, ast.Call) and _mixes(module, call, held, of):
                yield node, call
                break


def _collected(module: Module, value: ast.expr) -> str | None:
    """`model` of `{k: v.data for k, v in model.named_parameters()}`, where nothing is copied."""
    if not isinstance(value, (ast.DictComp, ast.ListComp)) or len(value.generators) != 1:
        return None
    part = value.value if isinstance(value, ast.DictComp) else value.elt
    viewed = False
    while isinstance(part, (ast.Attribute, ast.Call)):
        part = part.func if isinstance(part, ast.Call) else part
        if not isinstance(part, ast.Attribute) or part.attr not in VIEWS:
            return None
        part, viewed = part.value, True
    loop = value.generators[0]
    bound = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    # A plain list of parameters is a handle on them, as an optimizer has one; by name they are kept to be looked up.
    if not isinstance(part, ast.Name) or part.id not in bound or not (viewed or isinstance(value, ast.DictComp)):
        return None
    return _model(loop.iter)


def _mixes(module: Module, call: ast.Call, held: str, of: str) -> bool:
    """`held[k].mul_(d).add_(p)`, or the same by an element of `held`, where `p` is of the model `of`."""
    given, part = [*call.args, *(each.value for each in call.keywords)], call.func
    if not isinstance(part, ast.Attribute) or part.attr not in WRITES:
        return False
    while isinstance(part, (ast.Attribute, ast.Call)):
        part = part.func if isinstance(part, ast.Call) else part.value
    loop, live, mine = module.enclosing(call, ast.For), set[str](), set[str]()
    while isinstance(loop, ast.For):
        zipped = isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter.func) == "zip"
        sources = loop.iter.args if isinstance(loop.iter, ast.Call) and zipped else [loop.iter]
        targets = loop.target.elts if isinstance(loop.target, ast.Tuple) and zipped else [loop.target]
        for source, target in zip(sources, targets):
            names = {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
            live |= names if _model(source) == of else set()
            mine |= names if ast.unparse(source) in (held, f"{held}.values()", f"{held}.items()") else set()
        loop = module.enclosing(loop, ast.For)
    element = isinstance(part, ast.Subscript) and ast.unparse(part.value) == held
    if not element and not (isinstance(part, ast.Name) and part.id in mine):
        return False
    leaves = [leaf for each in given for leaf in _leaves(each)]
    return any(isinstance(n, ast.Name) and n.id in live for n in leaves) and not any(
        isinstance(n, ast.Attribute) and n.attr == "grad" for n in leaves
    )


def _model(iterated: ast.expr) -> str | None:
    """`model` of `model.named_parameters()` and of `model.state_dict().items()`."""
    part = iterated
    while isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
        if part.func.attr in ("parameters", "named_parameters", "state_dict"):
            return ast.unparse(part.func.value)
        part = part.func.value
    return None


def _around(module: Module, node: ast.AST) -> list[ast.AST]:
    found, each = [], module.enclosing(node, *SCOPES)
    while each is not None:
        found.append(each)
        each = module.enclosing(each, *SCOPES)
    return found


def _leaves(node: ast.AST) -> list[ast.Name | ast.Attribute]:
    return [part for part in ast.walk(node) if isinstance(part, (ast.Name, ast.Attribute))]
