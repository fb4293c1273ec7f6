"""A `view` or `reshape` that re-cuts memory where axes were to be moved, and the move it stands for."""

from __future__ import annotations

import ast
from collections.abc import Callable

from .edits import Edit
from .module import Module


def puts_samples_behind(module: Module, call: ast.Call) -> bool:
    """`h.view(steps, batch, -1)`, in a forward, where `batch` is the first length of that very `h`."""
    function = module.enclosing(call, ast.FunctionDef)
    owner = module.enclosing(call, ast.ClassDef)
    held = call.func.value if isinstance(call.func, ast.Attribute) else None
    methods = [each.name for each in ast.walk(owner) if isinstance(each, ast.FunctionDef)] if owner is not None else []
    if not isinstance(function, ast.FunctionDef) or "forward" not in methods or not isinstance(held, ast.Name):
        return False
    args = call.args[0].elts if len(call.args) == 1 and isinstance(call.args[0], (ast.Tuple, ast.List)) else call.args
    if len(args) < 3 or isinstance(args[0], (ast.Constant, ast.UnaryOp, ast.Starred)):
        return False
    first = _first_length(module, function, held, call)
    return not first(args[0]) and any(first(each) for each in args[1:])


def _first_length(
    module: Module, function: ast.FunctionDef, held: ast.Name, use: ast.Call
) -> Callable[[ast.expr], bool]:
    """Whether an expression is the first length of a tensor, asked of it after it was last given a value."""
    given = [
        each.lineno
        for each in ast.walk(function)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.id == held.id
        if each.lineno < use.lineno
    ]
    last = max(given, default=0)
    asked = (f"{held.id}.shape[0]", f"{held.id}.size(0)")
    names: set[str] = set()
    for each in ast.walk(function):
        if not isinstance(each, ast.Assign) or not last <= each.lineno < use.lineno:
            continue
        target, value = each.targets[0], module.segment(each.value).replace(" ", "")
        if isinstance(target, ast.Name) and value in asked:
            names.add(target.id)
        elif isinstance(target, ast.Tuple) and value in (f"{held.id}.shape", f"{held.id}.size()"):
            names.update(part.id for part in target.elts[:1] if isinstance(part, ast.Name))
    return lambda node: module.segment(node).replace(" ", "") in (*asked, *names)


def moved_axes(module: Module, call: ast.Call) -> Edit | None:
    """The same shape by moving axes: `f.permute(2, 3, 0, 1).reshape(h * w, b, c)` where `b, c, h, w = f.shape`."""
    function = module.enclosing(call, ast.FunctionDef)
    held = call.func.value if isinstance(call.func, ast.Attribute) else None
    if not isinstance(function, ast.FunctionDef) or not isinstance(held, ast.Name) or call.keywords:
        return _swapped(module, call)
    lengths = _lengths(module, function, held, call)
    places = {name: axis for axis, name in enumerate(lengths)}
    axes: list[list[int]] = []
    for each in call.args:
        parts = [part.id for part in ast.walk(each) if isinstance(part, ast.Name)]
        rest = isinstance(each, ast.UnaryOp)
        product = isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mult)
        if not (rest or product or isinstance(each, ast.Name)) or any(part not in places for part in parts):
            return _swapped(module, call)
        axes.append(sorted(places[part] for part in parts))
    known = [axis for entry in axes for axis in entry]
    left = [axis for axis in range(len(lengths)) if axis not in known]
    axes = [entry or left for entry in axes]
    order = [axis for entry in axes for axis in entry]
    if not lengths or sorted(order) != list(range(len(lengths))):
        return _swapped(module, call)
    if order == sorted(order):
        return None  # the axes stand in this order already
    if order == [1, 0, 2] and len(axes) == 3:
        return module.replace(call, f"{held.id}.transpose(0, 1)")
    given = ", ".join(module.segment(each) for each in call.args)
    return module.replace(call, f"{held.id}.permute({', '.join(map(str, order))}).reshape({given})")


def _lengths(module: Module, function: ast.FunctionDef, held: ast.Name, use: ast.Call) -> list[str]:
    """The names that a tensor's lengths were last given, in order: `b, c, h, w = f.shape`."""
    found: list[str] = []
    for each in ast.walk(function):
        target = each.targets[0] if isinstance(each, ast.Assign) and each.lineno < use.lineno else None
        if not isinstance(each, ast.Assign) or not isinstance(target, ast.Tuple):
            continue
        if module.segment(each.value).replace(" ", "") in (f"{held.id}.shape", f"{held.id}.size()"):
            names = [part.id for part in target.elts if isinstance(part, ast.Name)]
            found = names if len(names) == len(target.elts) == len(set(names)) else []
    return found


def _swapped(module: Module, call: ast.Call) -> Edit | None:
    """`h.view(steps, batch, -1)`, with the batch from the first length of a tensor: the axes swapped instead."""
    function = module.enclosing(call, ast.FunctionDef)
    if function is None or len(call.args) != 3 or call.keywords or not isinstance(call.func, ast.Attribute):
        return None
    if _is_first_length(module, function, call.args[0]) or not _is_first_length(module, function, call.args[1]):
        return None
    if not isinstance(call.args[2], ast.UnaryOp) and not isinstance(call.args[2], (ast.Name, ast.Attribute)):
        return None
    return module.replace(call, f"{module.segment(call.func.value)}.transpose(0, 1)")


def _is_first_length(module: Module, function: ast.AST, node: ast.expr) -> bool:
    """Whether an expression is `x.shape[0]`, `x.size(0)`, or a name that is given it."""
    if isinstance(node, ast.Name):
        for each in ast.walk(function):
            target = each.targets[0] if isinstance(each, ast.Assign) else None
            if isinstance(target, ast.Name) and target.id == node.id and isinstance(each, ast.Assign):
                return _is_first_length(module, function, each.value)
            if (
                isinstance(target, ast.Tuple)
                and isinstance(each, ast.Assign)
                and module.segment(each.value).endswith((".shape", ".size()"))
            ):
                first = target.elts[0]
                if isinstance(first, ast.Name) and first.id == node.id:
                    return True
        return False
    return module.segment(node).replace(" ", "").endswith((".shape[0]", ".size(0)"))
