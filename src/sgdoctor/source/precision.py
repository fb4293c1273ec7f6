"""Casts of a script to half precision: taken away, or written with float32 where a dtype has to stand."""

from __future__ import annotations

import ast

from .edits import Edit
from .module import Module, Source
from .spelling import in_place_of, without_entry

METHODS = {"float16": ("half",), "bfloat16": ("bfloat16",)}
NAMES = {"float16": ("torch.float16", "torch.half", "numpy.float16", "numpy.half"), "bfloat16": ("torch.bfloat16",)}
CASTS = ("to", "type")


def in_single_precision(source: Source, kind: str) -> list[Edit]:
    """Every cast of tensors and modules to a half-precision type off the script; autocast keeps its own."""
    edits: list[Edit] = []
    for module in source:
        done: set[ast.AST] = set()
        for node in sorted(ast.walk(module.tree), key=lambda each: isinstance(each, ast.Attribute)):
            if node in done or _lowered(module, node):
                continue
            if isinstance(node, ast.stmt):
                if _only_casts(module, node, kind):
                    edits.append(module.delete(node))
                    done |= set(ast.walk(node))
            elif isinstance(node, ast.Call) and not _within_statement(module, node, kind):
                inner = _cast(module, node, kind)
                if inner is not None and not any(_cast(module, part, kind) for part in ast.walk(inner)):
                    edits.append(in_place_of(module, node, inner))
                    done |= set(ast.walk(node))
                elif inner is None and (named := _dtype(module, node, kind)) is not None and len(_given(node)) > 1:
                    edits.append(without_entry(module, *_entry(node, named)))
                    done |= set(ast.walk(named))
            elif isinstance(node, ast.Attribute):
                if module.dotted(node) not in NAMES[kind] or _within_statement(module, node, kind):
                    continue
                edits.append(module.replace(node, f"{module.segment(node.value)}.float32"))
                done |= set(ast.walk(node))
    return edits


def _cast(module: Module, node: ast.AST, kind: str) -> ast.expr | None:
    """`x` of `x.half()`, `x.to(torch.float16)`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    if node.func.attr in METHODS[kind] and not _given(node):
        return node.func.value
    named = _dtype(module, node, kind)
    return node.func.value if named is not None and len(_given(node)) == 1 else None


def _dtype(module: Module, node: ast.Call, kind: str) -> ast.expr | None:
    """The half-precision type among the arguments of `.to(...)`."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in CASTS:
        return None
    return next((given for given in _given(node) if module.dotted(given) in NAMES[kind]), None)


def _given(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(each.value for each in node.keywords)]


def _entry(node: ast.Call, named: ast.expr) -> tuple[ast.expr, list[ast.expr]]:
    """An argument with the others, keywords as whole: `dtype=torch.float16`."""
    words = [_Word(each) for each in node.keywords]
    entries: list[ast.expr] = [*node.args, *words]
    found = next((word for word in words if word.value is named), None)
    return (found if found is not None else named), entries


class _Word(ast.expr):
    """A keyword of a call with a place, as expressions have one."""

    def __init__(self, keyword: ast.keyword) -> None:
        super().__init__()
        self.value = keyword.value
        self.lineno, self.col_offset = keyword.lineno, keyword.col_offset
        self.end_lineno, self.end_col_offset = keyword.end_lineno, keyword.end_col_offset


def _lowered(module: Module, node: ast.AST) -> bool:
    """Whether it is part of an autocast, which names the type it computes in and leaves weights alone."""
    outer: ast.AST | None = node
    while outer is not None and not isinstance(outer, ast.stmt):
        if isinstance(outer, ast.Call) and module.dotted(outer.func).rpartition(".")[2] == "autocast":
            return True
        outer = module.parents.get(outer)
    return False


def _within_statement(module: Module, node: ast.AST, kind: str) -> bool:
    """Whether it goes with a statement that only casts."""
    statement = module.enclosing(node, ast.stmt)
    return isinstance(statement, ast.stmt) and _only_casts(module, statement, kind)


def _only_casts(module: Module, node: ast.stmt, kind: str) -> bool:
    """`model.half()`, `x = x.half()`, `x, y = x.half(), y.half()`, `torch.set_default_dtype(torch.float16)`."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        default = module.dotted(node.value.func) == "torch.set_default_dtype"
        if default and any(module.dotted(given) in NAMES[kind] for given in _given(node.value)):
            return True
        inner = _cast(module, node.value, kind)
        return isinstance(inner, (ast.Name, ast.Attribute))
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    target, value = node.targets[0], node.value
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = list(zip(target.elts, value.elts))
    for name, cast in pairs:
        inner = _cast(module, cast, kind)
        if inner is None or module.segment(inner) != module.segment(name):
            return False
    return True
